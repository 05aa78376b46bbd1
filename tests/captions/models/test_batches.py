"""Request files out, answer files in: nothing twice, nothing lost, nothing over the budget, nothing told of a slice."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chat_bodies import png, question
from scripted_server import completion

from med3dinsight.captions.asking.budget import Budget
from med3dinsight.captions.asking.jobs import Job
from med3dinsight.captions.asking.prices import Price
from med3dinsight.captions.asking.requests import key_of
from med3dinsight.captions.models.batch_ids import NAME, BatchIds
from med3dinsight.captions.models.batch_reading import BatchRead, read_batch
from med3dinsight.captions.models.batch_writing import MOST_BYTES, MOST_REQUESTS, BatchWritten, write_batch
from med3dinsight.captions.prompts.answer import parse_answer
from med3dinsight.errors import FatalError, InputError, WorkspaceError
from med3dinsight.workspace.answer_ledger import AnswerLedger

PRICE = Price(input_usd=1.0, output_usd=2.0, picture_tokens=100)
GOOD = json.dumps({"modality": "CT", "plane": "axial", "caption": "An axial CT slice."})


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[AnswerLedger]:
    with AnswerLedger(tmp_path / "captions", create=True) as ledger:
        yield ledger


def jobs(count: int, first: int = 0) -> list[Job]:
    return [
        Job(f"case-{n}/secret", f"print-{n}", lambda n=n: question(png(n)), "axial", "CT")
        for n in range(first, first + count)
    ]


def write(ledger: AnswerLedger, folder: Path, todo: list[Job], usd: float | None = None, **limits: Any) -> BatchWritten:
    return write_batch(todo, ledger, folder, budget=Budget(usd, PRICE, ledger.spent()), **limits)


def read(ledger: AnswerLedger, folder: Path, *files: Path, same_again: bool = False) -> BatchRead:
    budget = Budget(None, PRICE, ledger.spent())
    return read_batch(files, ledger, folder, parse=parse_answer, budget=budget, same_again=same_again)


def requests_in(written: BatchWritten) -> list[dict[str, Any]]:
    return [json.loads(line) for path in written.files for line in path.read_text().splitlines()]


def answered(path: Path, rows: list[dict[str, Any]], answer: Callable[[int], Any]) -> Path:
    """What a service gives back, in another order; ``answer`` returns a text, or a status with its error."""
    lines = []
    for number, row in reversed(list(enumerate(rows))):
        said = answer(number)
        status, body = said if isinstance(said, tuple) else (200, completion(said))
        lines.append({"custom_id": row["custom_id"], "response": {"status_code": status, "body": body}, "error": None})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_every_slice_becomes_a_line_under_a_random_id_and_an_answer_finds_back(
    ledger: AnswerLedger, tmp_path: Path
) -> None:
    written = write(ledger, tmp_path / "batch", jobs(5))
    rows = requests_in(written)
    assert (written.requests, written.waiting, len({row["custom_id"] for row in rows})) == (5, 5, 5)
    assert [row["body"] for row in rows] == [question(png(n)) for n in range(5)]
    text = written.files[0].read_text()
    assert not any(word in text for word in ("secret", "print-", *(key_of(row["body"]) for row in rows)))
    file = answered(tmp_path / "out.jsonl", rows, lambda n: GOOD.replace("slice", f"slice {n}"))
    assert read(ledger, tmp_path / "batch", file).answered == 5
    found = ledger.find([f"print-{n}" for n in range(5)])
    assert [found[f"print-{n}"].text for n in range(5)] == [f"An axial CT slice {n}." for n in range(5)]


def test_nothing_is_asked_or_counted_twice(ledger: AnswerLedger, tmp_path: Path) -> None:
    folder = tmp_path / "batch"
    first = write(ledger, folder, jobs(3))
    same = [Job("other", "print-9", lambda: question(png(0)), "axial", "CT")]
    again = write(ledger, folder, [*jobs(4), *same])
    assert (again.requests, again.waiting) == (1, 5)
    out = answered(tmp_path / "out.jsonl", requests_in(first), lambda n: GOOD)
    assert read(ledger, folder, out).answered == 3
    spent = ledger.spent()
    second = read(ledger, folder, out)
    assert (second.answered, second.skipped, ledger.spent()) == (0, 3, spent)
    assert ledger.find(["print-9"])["print-9"].text
    done = write(ledger, folder, [*jobs(4), *same])
    assert (done.requests, done.known, done.waiting) == (0, 4, 1)


def test_what_waits_in_another_folder_is_neither_drawn_nor_written(ledger: AnswerLedger, tmp_path: Path) -> None:
    def draw() -> dict[str, Any]:
        raise AssertionError("known by its fingerprint")

    write(ledger, tmp_path / "one", jobs(3))
    known = Job("other", "print-0", draw, "axial", "CT")
    same = Job("other", "print-9", lambda: question(png(0)), "axial", "CT")
    written = write(ledger, tmp_path / "two", [known, same, *jobs(1, first=5)])
    assert (written.requests, written.waiting, written.elsewhere) == (1, 1, {"one": 2})
    assert ledger.waiting_places() == {"one": 3, "two": 1}


def test_files_stay_within_their_limits(ledger: AnswerLedger, tmp_path: Path) -> None:
    written = write(ledger, tmp_path / "batch", jobs(7), most_requests=3)
    assert [len(path.read_text().splitlines()) for path in written.files] == [3, 3, 1]
    longest = max(len(line) + 1 for path in written.files for line in path.read_text().splitlines())
    by_size = write(ledger, tmp_path / "other", jobs(4, first=20), most_bytes=2 * longest + 50)
    assert all(path.stat().st_size <= 2 * longest + 50 for path in by_size.files)
    assert len(requests_in(by_size)) == 4


def test_a_budget_holds_over_batches_and_answers_free_what_they_did_not_cost(
    ledger: AnswerLedger, tmp_path: Path
) -> None:
    most = Budget(None, PRICE, 0).most(question(png()))
    usd = 2.5 * most / 1e9
    written = write(ledger, tmp_path / "batch", jobs(5), usd)
    assert (written.requests, written.left) == (2, 3)
    assert 0 < ledger.spent() <= usd * 1e9
    assert write(ledger, tmp_path / "batch", jobs(5), usd).requests == 0
    out = answered(tmp_path / "out.jsonl", requests_in(written), lambda n: GOOD)
    read(ledger, tmp_path / "batch", out)
    assert ledger.spent() == 2 * PRICE.cost(90, 7) and ledger.num_open() == 0
    assert write(ledger, tmp_path / "batch", jobs(5), usd).requests == 2


def test_expired_and_failed_requests_are_written_again_and_cost_nothing(ledger: AnswerLedger, tmp_path: Path) -> None:
    folder = tmp_path / "batch"
    rows = requests_in(write(ledger, folder, jobs(2)))
    out = answered(tmp_path / "out.jsonl", rows, lambda n: (500, None))
    result = read(ledger, folder, out)
    assert (result.again, result.answered, ledger.spent()) == (2, 0, 0)
    assert sum(result.problems.values()) == 2
    again = requests_in(write(ledger, folder, jobs(2)))
    assert [row["body"] for row in again] == [row["body"] for row in rows]
    assert not {row["custom_id"] for row in again} & {row["custom_id"] for row in rows}


def test_an_unreadable_answer_is_asked_again_twice_and_then_quarantined(ledger: AnswerLedger, tmp_path: Path) -> None:
    folder = tmp_path / "batch"
    for number, (again, quarantined) in enumerate([(1, 0), (1, 0), (0, 1)]):
        rows = requests_in(write(ledger, folder, jobs(1)))
        result = read(ledger, folder, answered(tmp_path / f"{number}.jsonl", rows, lambda n: "I see a liver."))
        assert (result.again, result.quarantined) == (again, quarantined)
    assert write(ledger, folder, jobs(1)).requests == 0
    assert ledger.raw(key_of(question(png(0)))) == ["I see a liver."] * 3


@pytest.mark.parametrize("same_again", [True, False])
def test_an_answer_that_was_cut_is_asked_again_only_where_it_may_be_another(
    ledger: AnswerLedger, tmp_path: Path, same_again: bool
) -> None:
    cut = completion("An ax")
    cut["choices"][0]["finish_reason"] = "length"
    rows = requests_in(write(ledger, tmp_path / "batch", jobs(1)))
    out = answered(tmp_path / "out.jsonl", rows, lambda n: (200, cut))
    result = read(ledger, tmp_path / "batch", out, same_again=same_again)
    assert (result.quarantined, result.again) == ((1, 0) if same_again else (0, 1))


def test_one_refusal_is_believed_and_a_batch_refused_as_a_whole_is_not(ledger: AnswerLedger, tmp_path: Path) -> None:
    folder, no = tmp_path / "batch", (400, {"error": {"message": "no temperature"}})
    rows = requests_in(write(ledger, folder, jobs(9)))
    out = answered(tmp_path / "all.jsonl", rows, lambda n: no)
    with pytest.raises(FatalError, match="as a whole: the server says 400: no temperature"):
        read(ledger, folder, out)
    assert (ledger.num_answers("refused"), ledger.num_open(), ledger.waiting_keys()) == (0, 0, {})
    rows = requests_in(write(ledger, folder, jobs(9)))
    assert len(rows) == 9, "they are asked anew"
    one = answered(tmp_path / "one.jsonl", rows, lambda n: no if n == 4 else GOOD)
    result = read(ledger, folder, out, one)
    assert (result.answered, result.refused) == (8, 1)
    assert ledger.find(["print-4"])["print-4"].status == "refused"


def test_a_refusal_is_believed_by_what_was_asked_in_the_same_way(ledger: AnswerLedger, tmp_path: Path) -> None:
    folder, no = tmp_path / "batch", (400, {"error": {"message": "no vision"}})
    good, late = (requests_in(write(ledger, folder, jobs(2, first), settings="good")) for first in (0, 20))
    bad = requests_in(write(ledger, folder, jobs(12, 30), settings="bad"))
    assert read(ledger, folder, answered(tmp_path / "1.jsonl", good, lambda _: GOOD)).answered == 2
    both = [answered(tmp_path / f"{name}.jsonl", rows, lambda _: no) for name, rows in (("2", late), ("3", bad))]
    with pytest.raises(FatalError, match="no vision"):
        read(ledger, folder, *both)
    assert ledger.num_answers("refused") == 2, "in a later run, by settings that were answered"
    assert len(requests_in(write(ledger, folder, jobs(12, 30), settings="bad"))) == 12


def test_lines_of_others_and_cut_lines_are_counted_and_leave_all_as_it_is(ledger: AnswerLedger, tmp_path: Path) -> None:
    rows = requests_in(write(ledger, tmp_path / "batch", jobs(1)))
    out = answered(tmp_path / "out.jsonl", [{"custom_id": "q-other"}, *rows], lambda n: GOOD)
    out.write_bytes(out.read_bytes() + out.read_bytes()[:30])
    result = read(ledger, tmp_path / "batch", out)
    assert (result.answered, result.skipped) == (1, 2)
    with pytest.raises(InputError, match="cannot read"):
        read(ledger, tmp_path / "batch", tmp_path / "none.jsonl")


@pytest.mark.parametrize("whole", [False, True])
def test_a_kill_while_a_file_is_written_loses_nothing_and_asks_nothing_twice(
    ledger: AnswerLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: bool
) -> None:
    folder = tmp_path / "batch"
    if whole:  # between the file's becoming whole and its being told so
        monkeypatch.setattr(BatchIds, "publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    else:
        monkeypatch.setattr(
            "med3dinsight.workspace.files.os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
    with pytest.raises(KeyboardInterrupt):
        write(ledger, folder, jobs(3))
    monkeypatch.undo()
    assert ledger.num_open() == 3
    written = write(ledger, folder, jobs(3))
    assert (written.requests, written.waiting) == ((0, 3) if whole else (3, 3))
    assert ledger.num_open() == 3
    assert len(list(folder.glob("*.jsonl"))) == 1


def test_a_kill_before_an_answered_id_is_closed_counts_nothing_twice(
    ledger: AnswerLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "batch"
    rows = requests_in(write(ledger, folder, jobs(3)))
    out = answered(tmp_path / "out.jsonl", rows, lambda n: GOOD if n else "unreadable")
    monkeypatch.setattr(BatchIds, "close_requests", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        read(ledger, folder, out)
    monkeypatch.undo()
    spent = ledger.spent()
    assert read(ledger, folder, out).skipped == 3
    assert ledger.spent() == spent
    assert write(ledger, folder, jobs(3)).requests == 1


def test_the_file_of_ids_of_a_newer_version_is_told(ledger: AnswerLedger, tmp_path: Path) -> None:
    write(ledger, tmp_path / "batch", jobs(1))
    with sqlite3.connect(tmp_path / "batch" / NAME) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(WorkspaceError, match="format 99"):
        write(ledger, tmp_path / "batch", jobs(1))


def test_thousands_of_slices_fill_one_file_after_another(ledger: AnswerLedger, tmp_path: Path) -> None:
    body = question(png())
    many = (Job("", f"print-{n}", lambda n=n: {**body, "seed": n}, "axial", "CT") for n in range(2000))
    written = write_batch(many, ledger, tmp_path / "batch", budget=Budget(None, None, 0), most_requests=1500)
    assert [len(path.read_bytes().splitlines()) for path in written.files] == [1500, 500]
    assert MOST_REQUESTS == 50_000 and MOST_BYTES < 200_000_000
