"""The engine of the experiments: order, budget, failures, kills."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from experiments.cells import RUNNING, Ledger, run_cells, status

FUNCTIONS = """
import os, time
from pathlib import Path

def note(cell, work):
    with (work / "seen.txt").open("a") as handle:
        handle.write(cell["arm"] + "\\n")
    if cell["arm"] == "bad":
        raise ValueError("cannot be computed")
    if cell["arm"] == "dies":
        os._exit(3)
    if cell["arm"] == "nan":
        return {"value": float("nan")}
    if cell["arm"] == "slow":
        for second in range(60):
            burn(0.3)
            (work / "started.txt").touch()
    burn(cell.get("burn", 0.0))
    return {"threads": os.environ["OMP_NUM_THREADS"], "arm": cell["arm"]}

def burn(seconds):
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
"""


@pytest.fixture
def function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "cell_functions.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(tmp_path)
    yield "cell_functions:note"


def cells(*arms: str, **names: Any) -> list[dict[str, Any]]:
    return [{"experiment": "toy", "arm": arm, **names} for arm in arms]


def quiet(line: str) -> None:
    pass


def seen(work: Path) -> list[str]:
    path = work / "seen.txt"
    return path.read_text().split() if path.exists() else []


def test_cells_run_in_order_of_priority_once(tmp_path: Path, function: str) -> None:
    work = tmp_path / "work"
    ended = run_cells(cells("c", "a", "b"), function, work, workers=1, told=quiet)
    assert (ended.done, ended.failed, ended.left) == (3, 0, 0)
    assert seen(work) == ["c", "a", "b"]
    assert run_cells(cells("c", "a", "b", "d"), function, work, told=quiet).done == 1
    assert seen(work) == ["c", "a", "b", "d"]
    row = Ledger(work).rows()[0]
    assert row["result"] == {"threads": "1", "arm": "c"}
    assert row["cpu_seconds"] >= 0
    assert row["wall_seconds"] >= 0


def test_a_failed_cell_is_recorded_and_run_again_only_when_asked(tmp_path: Path, function: str) -> None:
    work = tmp_path / "work"
    plan = cells("bad", "dies", "nan", "good")
    ended = run_cells(plan, function, work, workers=1, told=quiet)
    assert (ended.done, ended.failed) == (1, 3)
    errors = [row["error"] for row in Ledger(work).rows() if row["status"] == "failed"]
    assert errors[0] == "ValueError: cannot be computed"
    assert errors[1] == "its process ended with code 3"
    assert "JSON" in errors[2]
    assert run_cells(plan, function, work, told=quiet).failed == 0
    assert run_cells(plan[:1], function, work, retry_failed=True, told=quiet).failed == 1
    assert "toy: 1 done, 3 failed, 1 not run" in status([*plan, *cells("later")], work)


def test_no_cell_is_started_when_the_budget_is_spent(tmp_path: Path, function: str) -> None:
    work = tmp_path / "work"
    plan = cells("a", "b", "c", burn=0.4)
    ended = run_cells(plan, function, work, workers=1, budget_core_hours=0.5 / 3600, told=quiet)
    assert (ended.done, ended.left, ended.budget_spent) == (2, 1, True)
    assert "toy: 2 done, 0 failed, 1 not run" in status(plan, work)
    assert run_cells(plan, function, work, budget_core_hours=1, told=quiet).done == 1


def test_a_kill_loses_the_cell_in_work_alone_and_its_cost_is_counted(tmp_path: Path, function: str) -> None:
    work = tmp_path / "work"
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; from pathlib import Path; from experiments.cells import run_cells; "
        f"run_cells({cells('a', 'slow')!r}, {function!r}, Path({str(work)!r}), workers=1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (work / "started.txt").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    with (work / "cells.jsonl").open("ab") as handle:
        handle.write(b'{"cell": {"experiment": "toy", "arm": "to')  # a line torn by the kill
    [note] = (work / RUNNING).glob("*.json")
    _wait_until_gone(int(note.stem))
    ended = run_cells(cells("a", "b"), function, work, told=quiet)
    assert ended.done == 1
    assert seen(work) == ["a", "slow", "b"]
    rows = Ledger(work).rows()
    assert [row["status"] for row in rows] == ["done", "interrupted", "done"]
    assert rows[1]["cpu_seconds"] > 0.2
    assert Ledger(work).core_hours() == pytest.approx(sum(row["cpu_seconds"] for row in rows) / 3600)


def _wait_until_gone(worker: int) -> None:
    """A worker ends by itself when its parent has been killed."""
    deadline = time.monotonic() + 10
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < deadline, "the worker outlives its parent"
        time.sleep(0.05)
