from __future__ import annotations

import functools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from faulty_model import PRICE, Books, ask_about_shard, body_about, text_of

from med3dinsight.captions.asking.chat import FatalError
from med3dinsight.captions.asking.jobs import Asked
from med3dinsight.captions.asking.shards import SHARDS, ask_in_shards
from med3dinsight.engines import ENGINES
from med3dinsight.records import Crop, SliceRef
from med3dinsight.types import Plane
from med3dinsight.workspace.answer_ledger import NANO, Answer, AnswerLedger, Paid


def slices(count: int) -> list[SliceRef]:
    return [SliceRef(Crop("case", (0, 0, 0), 512), Plane.AXIAL, index) for index in range(count)]


def run(folder: Path, count: int, books: Books, ask: Any = ask_about_shard, **settings: Any) -> Asked:
    settings = {"engine": "local", "workers": 1, "shard_slices": 50, **settings}
    with AnswerLedger(folder, create=True) as ledger:
        return ask_in_shards(
            ask,
            slices(count),
            ledger,
            fingerprint=lambda ref: f"print-{ref.index}",
            deliver=books.deliver,
            **settings,
        )


def asked_about(folder: Path) -> tuple[Counter[str], int]:
    """Requests by key, and what was paid, over all shards."""
    requests: Counter[str] = Counter()
    for line in (folder / "asked.txt").read_text().splitlines():
        key, number = line.split()
        requests[key] += int(number)
    return requests, requests.pop("paid", 0)


@pytest.mark.parametrize("workers", [1, 2])
def test_shards_are_merged_and_nothing_is_asked_a_second_time(tmp_path: Path, workers: int) -> None:
    books = Books()
    asked = run(tmp_path, 230, books, functools.partial(ask_about_shard, faults=0.2), workers=workers)
    assert (asked.answered + asked.quarantined, asked.left, asked.stopped) == (230, 0, "")
    assert books.delivered.total() == len(books.delivered) == 230
    for ref in slices(230):
        assert books.texts[ref.key] in ("", text_of(body_about(ref.index)))
    requests, paid = asked_about(tmp_path)
    assert requests.total() == asked.requests_sent
    with AnswerLedger(tmp_path) as ledger:
        assert asked.cost_usd == ledger.spent() / NANO >= paid / NANO
    assert not list((tmp_path / SHARDS).iterdir())
    again = Books()
    second = run(tmp_path, 231, again)
    assert (second.cached, second.requests_sent) == (230, 1)
    assert {key: text for key, text in again.texts.items() if key in books.texts} == books.texts


def test_a_budget_is_shared_out_and_never_passed_and_more_money_goes_on(tmp_path: Path) -> None:
    books = Books()
    most = PRICE.most(body_about(999)) / NANO
    faulty = functools.partial(ask_about_shard, faults=0.1)
    asked = run(tmp_path, 300, books, faulty, budget_usd=9.0, most_usd=most)
    assert asked.stopped == "budget"
    assert asked.left == 300 - len(books.texts) > 0
    assert 9 - 3 * most < asked.cost_usd <= 9
    assert asked_about(tmp_path)[1] <= 9 * NANO
    assert run(tmp_path, 300, books, budget_usd=9.0, most_usd=most).requests_sent <= 3
    rest = run(tmp_path, 300, books, budget_usd=100.0, most_usd=most)
    assert (rest.left, rest.stopped, len(books.texts)) == (0, "", 300)


@pytest.mark.parametrize(("workers", "concurrency", "shares"), [(1, 16, {16}), (3, 16, {5}), (2, 1, {1})])
def test_processes_share_the_requests_that_may_be_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, concurrency: int, shares: set[int]
) -> None:
    seen: set[int] = set()

    def here(function: Any, items: Any, _: int) -> Any:
        for shard in items:
            seen.add(shard.concurrency)
            yield function(shard)

    monkeypatch.setitem(ENGINES, "local", here)
    run(tmp_path, 120, Books(), workers=workers, concurrency=concurrency)
    assert seen == shares


def test_what_a_run_that_ended_badly_paid_for_is_merged_by_the_next_one(tmp_path: Path) -> None:
    books = Books()
    with pytest.raises(FatalError, match="quota gone"):
        run(tmp_path, 200, books, functools.partial(ask_about_shard, fails_at=190))
    assert len(books.texts) == 150
    before, _ = asked_about(tmp_path)
    assert len(before) > 150
    rest = run(tmp_path, 200, books)
    requests, _ = asked_about(tmp_path)
    assert set(requests.values()) == {1}
    assert (len(requests), rest.cached, len(books.texts)) == (200, len(before), 200)


def test_slices_that_are_answered_are_handed_on_also_without_money(tmp_path: Path) -> None:
    with AnswerLedger(tmp_path, create=True) as ledger:
        prints = [f"print-{number}" for number in range(50, 100)]
        ledger.settle(0, "k", Paid("", cost=NANO), Answer("answered", "known"), prints).result()
    books = Books()
    asked = run(tmp_path, 150, books, budget_usd=1.0, most_usd=0.1)
    assert (asked.answered, asked.left, asked.stopped, asked.requests_sent) == (50, 100, "budget", 0)
