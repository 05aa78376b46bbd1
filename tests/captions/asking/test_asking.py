from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from faulty_model import PRICE, Books, FaultyModel, ask, body_about, text_of

from med3dinsight.captions.asking.chat import ChatReply, FatalError
from med3dinsight.captions.asking.jobs import Job
from med3dinsight.captions.asking.length import MOST_CHARACTERS
from med3dinsight.captions.asking.requests import key_of
from med3dinsight.workspace.answer_ledger import NANO, AnswerLedger


def test_faults_lose_nothing_duplicate_nothing_and_a_second_run_sends_nothing(tmp_path: Path) -> None:
    model, books = FaultyModel(faults=0.2), Books()
    asked = ask(tmp_path, model, books.jobs(1000), books, price=PRICE)
    with AnswerLedger(tmp_path) as ledger:
        quarantined = ledger.num_answers("quarantined")
        assert ledger.num_answers("answered") + quarantined == 1000
        assert asked.cost_usd == ledger.spent() / NANO >= model.paid / NANO
    assert (asked.answered, asked.quarantined, asked.left, asked.stopped) == (1000 - quarantined, quarantined, 0, "")
    assert quarantined < 20
    assert asked.requests_sent == model.asked.total() > 1100
    assert set(books.delivered.values()) == {1}
    assert {key: text for key, text in books.texts.items() if text} == {
        f"s{number}": text_of(body_about(number)) for number in range(1000) if books.texts[f"s{number}"]
    }
    assert set(model.readable.values()) == {1}, "an answer that can be read was bought twice"
    assert model.most_under_way <= 16
    again, rerun = FaultyModel(), Books()
    second = ask(tmp_path, again, rerun.jobs(1000), rerun, price=PRICE)
    assert (again.asked.total(), second.requests_sent, second.cached, second.cost_usd) == (0, 0, 1000, 0)
    assert rerun.drawn == []
    assert rerun.texts == books.texts


def test_requests_that_are_equal_are_sent_once_also_while_they_are_under_way(tmp_path: Path) -> None:
    model, books = FaultyModel(seconds=0.01), Books()
    asked = ask(tmp_path, model, books.jobs(200, lambda number: number % 3), books)
    assert model.asked.total() == asked.requests_sent == 3
    assert (asked.answered, set(books.texts.values())) == (200, {text_of(body_about(n)) for n in range(3)})
    # Another renderer's fingerprint of the same pixels is drawn, recognised and not asked about.
    more = ask(tmp_path, model, books.jobs(203, lambda number: number % 3), books)
    assert (more.requests_sent, more.cached) == (0, 203)


@pytest.mark.parametrize("known_to_the_ledger", [True, False])
def test_what_waits_in_a_file_is_left_also_where_only_its_pixels_are_known(
    tmp_path: Path, known_to_the_ledger: bool
) -> None:
    key = key_of(body_about(1))
    if known_to_the_ledger:
        with AnswerLedger(tmp_path, create=True) as ledger:
            ledger.reserve(key, 5, place="files").result()
    model, books = FaultyModel(), Books()
    waiting = None if known_to_the_ledger else {key: "files"}
    asked = ask(tmp_path, model, books.jobs(3), books, waiting=waiting)
    assert (asked.answered, asked.left, asked.waiting, key in model.asked) == (2, 1, {"files": 1}, False)


def test_an_answer_that_cannot_be_read_is_asked_for_three_times_in_all_and_kept_as_it_was(tmp_path: Path) -> None:
    bad = iter(["{", '{"caption": 3}', '{"caption": " "}'])

    def answers(body: Mapping[str, Any]) -> ChatReply:
        good = json.dumps({"caption": "second slice"})
        return ChatReply(next(bad) if body == body_about(0) else good, 1, 1, "m", "stop")

    model = FaultyModel(answers=answers)
    books = Books()
    asked = ask(tmp_path, model, books.jobs(2), books, concurrency=1)
    assert (asked.answered, asked.quarantined, asked.requests_sent) == (1, 1, 4)
    assert books.flags["s0"] == ("quarantined",)
    assert books.texts == {"s0": "", "s1": "second slice"}
    with AnswerLedger(tmp_path) as ledger:
        assert sorted(len(ledger.raw(key)) for key in model.asked) == [1, 3]
        first = max(model.asked, key=model.asked.__getitem__)
        assert ledger.raw(first) == ["{", '{"caption": 3}', '{"caption": " "}']


@pytest.mark.parametrize(("temperature", "replies"), [(0, 1), (0.7, 3)])
def test_an_answer_that_was_cut_is_asked_for_again_only_where_it_may_be_another(
    tmp_path: Path, temperature: float, replies: int
) -> None:
    model, books = FaultyModel(answers=lambda _: ChatReply('{"caption": "An ax', 1, 60, "m", "length")), Books()
    body = {**body_about(0), "temperature": temperature}
    asked = ask(tmp_path, model, iter([Job("s0", "print", lambda: body)]), books)
    assert (asked.quarantined, asked.requests_sent) == (1, replies)
    assert books.flags["s0"] == ("quarantined", "cut")


def test_strange_texts_are_flagged_and_never_bought_again(tmp_path: Path) -> None:
    long = "A coronal view of <b>everything</b> at http://x.example/ \u202e\ud800" + "x" * 1_000_000
    model = FaultyModel(answers=lambda _: ChatReply(json.dumps({"caption": long, "plane": "coronal"}), 1, 1, "m", ""))
    books = Books()
    asked = ask(tmp_path, model, books.jobs(1), books)
    assert (asked.answered, asked.requests_sent) == (1, 1)
    assert books.flags["s0"] == ("control-characters", "link", "long", "markup", "wrong-plane")
    kept = Books()
    ask(tmp_path, model, kept.jobs(1), kept)
    assert kept.texts == books.texts
    assert len(kept.texts["s0"]) == MOST_CHARACTERS
    with AnswerLedger(tmp_path) as ledger:
        (key,) = model.asked
        assert [len(raw) > 1_000_000 for raw in ledger.raw(key)] == [True]


@pytest.mark.parametrize("faults", [0.0, 0.3])
def test_a_budget_is_never_passed_and_more_money_goes_on_where_it_stopped(tmp_path: Path, faults: float) -> None:
    model, total = FaultyModel(faults=faults, seconds=0.001), Books()
    asked = ask(tmp_path, model, total.jobs(300), total, budget_usd=10, price=PRICE)
    assert asked.stopped == "budget"
    assert 0 < asked.left == 300 - len(total.delivered)
    assert model.paid / NANO <= asked.cost_usd <= 10
    # Until not even one more fits: a request is 0.07 USD, and may be up to 0.101.
    if not faults:
        assert asked.cost_usd > 10 - 0.101
    # The cap is of the ledger, not of the run.
    again = ask(tmp_path, model, total.jobs(300), total, budget_usd=10, price=PRICE)
    assert again.cached == len(total.delivered)
    assert model.paid / NANO <= 10
    rest = ask(tmp_path, model, total.jobs(300), total, budget_usd=200, price=PRICE)
    assert (rest.left, rest.stopped) == (0, "")
    assert len(total.texts) == 300
    assert set(model.readable.values()) == {1}


def test_jobs_are_read_as_they_are_needed(tmp_path: Path) -> None:
    books = Books()
    ahead: list[int] = []

    def jobs() -> Iterator[Job]:
        for number, job in enumerate(books.jobs(2500, lambda number: number % 1250)):
            ahead.append(number - len(books.delivered))
            yield job

    ask(tmp_path, FaultyModel(), jobs(), books)
    assert len(books.texts) == 2500
    # A chunk that is looked up, one that is to be handed on, and the room.
    assert max(ahead) < 2 * 512 + 2 * 16 + 1


def test_a_model_is_closed_in_the_event_loop_that_it_was_asked_in(tmp_path: Path) -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    class Closable(FaultyModel):
        async def complete(self, body: Mapping[str, Any]) -> ChatReply:
            loops.append(asyncio.get_running_loop())
            raise FatalError("no key")

        async def aclose(self) -> None:
            loops.append(asyncio.get_running_loop())

    with pytest.raises(FatalError, match="no key"):
        ask(tmp_path, Closable(), Books().jobs(1), Books())
    assert len(loops) == 2
    assert loops[0] is loops[1]
