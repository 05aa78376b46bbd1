from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from faulty_model import PRICE, Books, FaultyModel, ask, body_about, text_of

from med3dinsight.captions.asking.jobs import Job
from med3dinsight.workspace.answer_ledger import NANO, Answer, AnswerLedger, Paid


@pytest.mark.slow
def test_ten_thousand_slices_under_faults_none_lost_none_duplicated_none_over_budget(tmp_path: Path) -> None:
    model, books = FaultyModel(faults=0.2, seconds=0.001), Books()
    asked = ask(tmp_path, model, books.jobs(10_000), books, price=PRICE, budget_usd=1500, concurrency=32)
    assert (asked.answered + asked.quarantined, asked.left, asked.stopped) == (10_000, 0, "")
    assert len(books.delivered) == books.delivered.total() == 10_000
    assert set(model.readable.values()) == {1}
    assert len(model.readable) == asked.answered
    assert all(books.texts[f"s{number}"] in ("", text_of(body_about(number))) for number in range(10_000))
    assert model.paid / NANO <= asked.cost_usd <= 1500
    again, rerun = FaultyModel(), Books()
    assert ask(tmp_path, again, rerun.jobs(10_000), rerun, price=PRICE).requests_sent == 0
    assert not again.asked


def fill(folder: Path, slices: int) -> None:
    """Answers for so many slices, a thousand a write."""
    with AnswerLedger(folder, create=True) as ledger:
        for start in range(0, slices, 1000):
            writes = [
                ledger.settle(0, f"{number:064}", Paid("{}"), Answer("answered", "a " * 60), [f"print-{number}"])
                for number in range(start, start + 1000)
            ]
            writes[-1].result()


def test_slices_that_are_answered_are_found_again_and_not_drawn(tmp_path: Path) -> None:
    slices = 20_000
    fill(tmp_path, slices)

    def draw() -> dict[str, object]:
        raise AssertionError("it is answered")

    jobs = (Job(f"s{number}", f"print-{number}", draw) for number in range(slices))
    counted: list[int] = []

    class Counting(Books):
        def deliver(self, outcomes: list[object]) -> None:  # type: ignore[override]
            counted.append(len(outcomes))

    asked = ask(tmp_path, FaultyModel(), jobs, Counting())
    assert asked.cached == sum(counted) == slices


@pytest.mark.slow
def test_memory_is_flat_however_many_slices_are_queued(tmp_path: Path) -> None:
    def peak(slices: int) -> int:
        def jobs() -> Iterator[Job]:
            for number in range(slices):
                # A new slice every time, of one of a hundred pictures.
                yield Job(f"s{number}", f"p{number}", lambda number=number: body_about(number % 100))

        class Nothing(Books):
            def deliver(self, outcomes: object) -> None:
                pass

        tracemalloc.start()
        ask(tmp_path / str(slices), FaultyModel(), jobs(), Nothing())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(100)
    assert peak(40_000) < 1.2 * peak(4000)
