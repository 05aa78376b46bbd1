from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from faulty_model import PRICE, Books, FaultyModel, ask, body_about

from med3dinsight.captions.asking.chat import BusyError, ChatReply, DownError, FatalError, RefusedError
from med3dinsight.captions.asking.jobs import Job
from med3dinsight.captions.asking.pace import Patience
from med3dinsight.errors import DiskFullError
from med3dinsight.workspace.answer_ledger import AnswerLedger

GOOD = ChatReply('{"caption": "good"}', 1, 1, "m", "stop")


def about(body: Mapping[str, Any]) -> int:
    return int(body["messages"][0]["content"].split()[1])


def test_what_ends_the_run_keeps_what_was_under_way(tmp_path: Path) -> None:
    def answers(body: Mapping[str, Any]) -> ChatReply:
        if about(body) == 40:
            raise FatalError("quota gone", "buy some")
        return GOOD

    model, books = FaultyModel(answers=answers, seconds=0.002), Books()
    with pytest.raises(FatalError, match="quota gone"):
        ask(tmp_path, model, books.jobs(10_000), books, price=PRICE)
    assert 40 <= model.asked.total() < 200
    assert len(books.texts) == model.asked.total() - 1
    with AnswerLedger(tmp_path) as ledger:
        assert ledger.num_open() == 0
        assert ledger.num_answers("answered") == len(books.texts)


def test_one_refusal_is_kept_for_good_and_nothing_but_refusals_ends_the_run(tmp_path: Path) -> None:
    def answers(body: Mapping[str, Any]) -> ChatReply:
        if about(body) in (0, 7):
            raise RefusedError("400: picture refused")
        if about(body) == 9:
            return ChatReply("", 5, 0, "m", "content_filter")
        return GOOD

    model, books = FaultyModel(answers=answers), Books()
    for requests in (20, 0):
        asked = ask(tmp_path, model, books.jobs(20), books)
        assert (asked.answered, asked.refused, asked.requests_sent) == (17, 3, requests)
    assert books.flags["s7"] == ("refused",)

    def refuses(_: Mapping[str, Any]) -> ChatReply:
        raise RefusedError("400: no such parameter")

    other = tmp_path / "other"
    with pytest.raises(FatalError, match=r"refuses every request: 400: no such parameter"):
        ask(other, FaultyModel(answers=refuses), books.jobs(100), books)
    with AnswerLedger(other) as ledger:
        assert ledger.num_answers("refused") == ledger.num_open() == 0


def test_few_refusals_are_not_believed_either_where_nothing_was_answered(tmp_path: Path) -> None:
    def refuses(body: Mapping[str, Any]) -> ChatReply:
        raise RefusedError("400: no such model")

    books = Books()
    with pytest.raises(FatalError, match="no such model"):
        ask(tmp_path, FaultyModel(answers=refuses), books.jobs(3), books)
    with AnswerLedger(tmp_path) as ledger:
        assert ledger.num_answers("refused") == ledger.num_open() == 0
    proven = ask(tmp_path, FaultyModel(answers=refuses), books.jobs(3), books, proven=True)
    assert proven.refused == 3


def test_refusals_before_a_known_answer_are_written_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(body: Mapping[str, Any]) -> ChatReply:
        raise RefusedError("400: content")

    monkeypatch.setattr("med3dinsight.captions.asking.asking._CHUNK", 2)
    books = Books()
    ask(tmp_path, FaultyModel(), iter([Job("known", "known", lambda: body_about("known"))]), books)
    # All look alike: one question, which is refused long before the known answer is looked up.
    refused = [Job(f"t{n}", f"other-{n}", lambda: body_about("other")) for n in range(20)]
    known = Job("known", "known", lambda: body_about("known"))
    asked = ask(tmp_path, FaultyModel(answers=refuses), iter([*refused, known]), books, concurrency=1, proven=False)
    assert (asked.refused, asked.answered, asked.left) == (20, 1, 0)


def test_answers_to_other_questions_do_not_prove_that_a_refusal_is_about_the_slice(tmp_path: Path) -> None:
    def refuses(body: Mapping[str, Any]) -> ChatReply:
        raise RefusedError("400: no such model")

    books = Books()
    ask(tmp_path, FaultyModel(), books.jobs(3), books)
    with pytest.raises(FatalError, match="no such model"):
        others = (Job(f"t{n}", f"other-{n}", lambda n=n: body_about(f"other {n}")) for n in range(20))
        ask(tmp_path, FaultyModel(answers=refuses), others, books, proven=False)
    # Those that are known do, where they are answered with the same settings.
    proved = ask(tmp_path, FaultyModel(answers=refuses), books.jobs(20), books, proven=False)
    assert (proved.answered, proved.refused) == (3, 17)


def test_a_server_that_is_gone_ends_the_run_and_the_next_one_goes_on(tmp_path: Path) -> None:
    def answers(body: Mapping[str, Any]) -> ChatReply:
        if model.asked.total() > 60:
            raise DownError("connection refused", maybe_paid=False)
        return GOOD

    patience = Patience(first_wait=0.001, longest_wait=0.02, outage=0.3, tries=100_000)
    model, books = FaultyModel(answers=answers, seconds=0.001), Books()
    with pytest.raises(FatalError, match=r"no answer for \d+ seconds; last: connection refused"):
        ask(tmp_path, model, books.jobs(100_000), books, patience=patience)
    done = len(books.texts)
    assert 40 < done <= 60
    # The broken circuit lets next to nothing through.
    assert model.asked.total() - done < 250
    with AnswerLedger(tmp_path) as ledger:
        assert ledger.num_open() == 0
    rest = ask(tmp_path, FaultyModel(), books.jobs(done + 20), books)
    assert rest.answered == done + 20
    assert rest.requests_sent <= 20 + 16


def test_what_a_server_that_is_gone_may_have_been_paid_for_stays_in_the_books(tmp_path: Path) -> None:
    def answers(body: Mapping[str, Any]) -> ChatReply:
        raise DownError("timeout")

    patience = Patience(first_wait=0.001, longest_wait=0.02, outage=0.2, tries=100_000)
    model, books = FaultyModel(answers=answers, seconds=0.001), Books()
    with pytest.raises(FatalError, match="no answer for"):
        ask(tmp_path, model, books.jobs(100), books, patience=patience, price=PRICE)
    with AnswerLedger(tmp_path) as ledger:
        assert ledger.num_open() == model.asked.total() > 10


def test_one_slice_that_always_fails_is_left_and_holds_nobody_up(tmp_path: Path) -> None:
    def answers(body: Mapping[str, Any]) -> ChatReply:
        if about(body) == 3:
            raise DownError("500")
        return GOOD

    model, books = FaultyModel(answers=answers), Books()
    patience = Patience(first_wait=0.001, longest_wait=0.002, tries=4)
    asked = ask(tmp_path, model, books.jobs(50), books, patience=patience, price=PRICE)
    assert (asked.answered, asked.left) == (49, 1)
    assert max(model.asked.values()) == 4
    with AnswerLedger(tmp_path) as ledger:
        assert ledger.num_open() == 4, "each try may have been paid"
        assert asked.cost_usd == pytest.approx(ledger.spent() / 1e9)


def test_nothing_is_sent_while_the_server_asks_to_wait(tmp_path: Path) -> None:
    moments: list[float] = []

    def answers(body: Mapping[str, Any]) -> ChatReply:
        moments.append(time.monotonic())
        if len(moments) == 1:
            raise BusyError("429", retry_after=0.3)
        return GOOD

    books = Books()
    asked = ask(tmp_path, FaultyModel(answers=answers), books.jobs(5), books, concurrency=1)
    assert (asked.answered, asked.requests_sent) == (5, 6)
    assert moments[1] - moments[0] >= 0.3


def test_a_disk_that_is_full_ends_the_run_with_the_answers_so_far(tmp_path: Path) -> None:
    model, books = FaultyModel(), Books()

    def full(outcomes: object) -> None:
        raise DiskFullError("full", "free some")

    books.deliver = full  # type: ignore[method-assign]
    with pytest.raises(DiskFullError):
        ask(tmp_path, model, books.jobs(2000), books)
    with AnswerLedger(tmp_path) as ledger:
        kept = ledger.num_answers("answered")
        assert kept == model.asked.total() < 2000
    books = Books()
    assert ask(tmp_path, model, books.jobs(2000), books).cached == kept


def test_a_bug_of_a_model_is_raised_as_it_is(tmp_path: Path) -> None:
    def answers(body: Mapping[str, Any]) -> ChatReply:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        ask(tmp_path, FaultyModel(answers=answers), Books().jobs(2000), Books())


def test_ctrl_c_waits_for_what_is_paid_already(tmp_path: Path) -> None:
    model, books = FaultyModel(seconds=0.05), Books()
    threading.Timer(0.4, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        ask(tmp_path, model, books.jobs(100_000), books)
    with AnswerLedger(tmp_path) as ledger:
        assert ledger.num_open() == 0
        assert ledger.num_answers("answered") == model.asked.total() > 0
