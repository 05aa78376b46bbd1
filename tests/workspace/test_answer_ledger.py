from __future__ import annotations

import signal
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from med3dinsight.errors import DiskFullError, WorkspaceError
from med3dinsight.workspace.answer_ledger import ANSWERS, ANSWERS_VERSION, Answer, AnswerLedger, Paid

TEXT = Answer("answered", "an axial slice", ("long", "link"))


def test_an_answer_is_found_by_its_slices_and_by_its_key_after_the_file_was_closed(tmp_path: Path) -> None:
    with AnswerLedger(tmp_path, create=True) as ledger:
        number = ledger.reserve("k", 10).result()
        ledger.settle(number, "k", Paid("{raw}", "m", 5, 6, 7), TEXT, ["one", "two"])
    with AnswerLedger(tmp_path) as ledger:
        assert ledger.find(["two", "nothing", "one"]) == {"one": TEXT, "two": TEXT}
        assert ledger.answer("k") == TEXT
        assert ledger.answer("one") is None
        assert ledger.raw("k") == ["{raw}"]
        ledger.index(["three"], "k").result()
        assert ledger.find(["three"]) == {"three": TEXT}


def test_what_was_reserved_counts_until_it_is_settled_or_released(tmp_path: Path) -> None:
    with AnswerLedger(tmp_path, create=True) as ledger:
        numbers = [ledger.reserve("k", 100).result() for _ in range(3)]
        assert ledger.spent() == 300
        assert len(set(numbers)) == 3
        ledger.settle(numbers[0], "k", Paid("unreadable", cost=40), None).result()
        ledger.release(numbers[1]).result()
        assert (ledger.spent(), ledger.num_open(), ledger.num_attempts("k")) == (140, 1, 1)
        assert ledger.answer("k") is None
    with AnswerLedger(tmp_path) as ledger:
        assert (ledger.spent(), ledger.num_open()) == (140, 1)


def test_more_slices_are_looked_up_at_once_than_sqlite_takes_parameters(tmp_path: Path) -> None:
    with AnswerLedger(tmp_path, create=True) as ledger:
        prints = [str(number) for number in range(2500)]
        ledger.settle(ledger.reserve("k", 0).result(), "k", Paid(""), TEXT, prints).result()
        assert set(ledger.find(prints)) == set(prints)


def test_half_a_character_in_a_reply_does_not_lose_it(tmp_path: Path) -> None:
    with AnswerLedger(tmp_path, create=True) as ledger:
        number = ledger.reserve("k", 0).result()
        ledger.settle(number, "k", Paid("a\ud800b"), Answer("answered", "a\ud800b\0c"), ["p"]).result()
        assert ledger.raw("k") == ["a?b"]
        assert ledger.find(["p"])["p"].text == "a?b\0c"


def test_a_newer_ledger_and_a_damaged_one_say_so_and_never_to_remove_them(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="no answers"):
        AnswerLedger(tmp_path)
    AnswerLedger(tmp_path, create=True).close()
    database = sqlite3.connect(tmp_path / ANSWERS)
    database.execute(f"PRAGMA user_version = {ANSWERS_VERSION + 1}")
    database.close()
    with pytest.raises(WorkspaceError, match=rf"format {ANSWERS_VERSION + 1}.*wrote it"):
        AnswerLedger(tmp_path)
    (tmp_path / ANSWERS).write_bytes(b"not a database" * 500)
    with pytest.raises(WorkspaceError, match=r"damaged.*keep a copy"):
        AnswerLedger(tmp_path)


def test_a_write_that_fails_tells_who_waits_and_the_next_one_goes_on(tmp_path: Path) -> None:
    with AnswerLedger(tmp_path, create=True) as ledger:

        def full(_: sqlite3.Connection) -> None:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error

        with pytest.raises(DiskFullError, match=ANSWERS):
            ledger.submit(full).result()
        assert ledger.reserve("k", 5).result() == 1
        assert ledger.spent() == 5


def test_another_process_that_writes_for_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, **settings: connect(path, **{**settings, "timeout": 0.05}))
    with AnswerLedger(tmp_path, create=True) as ledger:
        other = connect(tmp_path / ANSWERS, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(WorkspaceError, match="another process is writing"):
            ledger.reserve("k", 5).result()
        other.close()
        assert ledger.reserve("k", 5).result() == 1


PAYS = """
import sys, pathlib
from med3dinsight.workspace.answer_ledger import Answer, AnswerLedger, Paid
ledger = AnswerLedger(pathlib.Path(sys.argv[1]), create=True)
number = 0
while True:
    key = str(number)
    place = ledger.reserve(key, 1).result()
    print("reserved", key)
    ledger.settle(place, key, Paid(key, cost=1), Answer("answered", key), [key]).result()
    print("settled", key)
    number += 1
"""


def test_a_kill_loses_nothing_that_was_told_to_be_on_the_disk(
    tmp_path: Path, child: Callable[..., subprocess.Popen[str]]
) -> None:
    process = child(PAYS, tmp_path)
    assert process.stdout is not None
    told: list[tuple[str, str]] = []
    for line in process.stdout:
        word, key = line.split()
        told.append((word, key))
        if told[-1] == ("settled", "30"):
            process.send_signal(signal.SIGKILL)
    with AnswerLedger(tmp_path) as ledger:
        settled = [key for word, key in told if word == "settled"]
        assert set(ledger.find(settled)) == set(settled)
        assert ledger.spent() >= len([word for word, _ in told if word == "reserved"])
