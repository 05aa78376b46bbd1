"""A small engine for experiments: cells, run side by side, recorded durably, within a budget.

A cell is a flat dict of names (experiment, arm, encoder, fold, seed); a function turns it into numbers. Every cell that
ends is one line of ``cells.jsonl`` in the work folder, on the disk before the next one starts. A kill at any moment
loses the cells in work, and nothing else: what they had cost is still counted.
"""

from __future__ import annotations

import fcntl
import importlib
import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any

Cell = dict[str, Any]
Row = dict[str, Any]
LEDGER, RUNNING = "cells.jsonl", "running"
#: What numpy, scipy and torch read when they are imported.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_SERVE = "import sys; sys.path[:] = {path!r}; from experiments.cells import serve; serve({handle})"
#: Seconds between two notes of what a running cell has cost so far.
_HEARTBEAT = 5.0


def key_of(cell: Cell) -> str:
    """The cell's names as one text, whatever their order."""
    return json.dumps(cell, sort_keys=True)


class Ledger:
    """``cells.jsonl``: one row a cell that ended, whichever way, in the order they ended."""

    def __init__(self, work: Path) -> None:
        self.path = work / LEDGER
        work.mkdir(parents=True, exist_ok=True)

    def rows(self) -> list[Row]:
        """All rows; a last line torn by a kill is left out."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")
        return [json.loads(line) for line in lines[:-1] if line]

    def append(self, row: Row) -> None:
        """Writes a row; it is on the disk when this returns."""
        with self.path.open("a+b") as handle:
            handle.seek(0)
            content = handle.read()
            handle.truncate(content.rfind(b"\n") + 1)
            handle.write(json.dumps(row, allow_nan=False).encode() + b"\n")
            handle.flush()
            os.fsync(handle.fileno())

    def latest(self) -> dict[str, Row]:
        """``{key: last row}`` of the cells that ended, done or failed."""
        return {key_of(row["cell"]): row for row in self.rows() if row["status"] in ("done", "failed")}

    def core_hours(self) -> float:
        """What everything so far has cost: done, failed and interrupted."""
        return sum(row["cpu_seconds"] for row in self.rows()) / 3600


@dataclass(frozen=True)
class Ended:
    """Why ``run_cells`` came back: cells that ended in this call, cells that are left, and whether money ran out."""

    done: int
    failed: int
    left: int
    budget_spent: bool


class _Worker:
    """A process that takes one cell after another, since importing torch costs seconds."""

    def __init__(self) -> None:
        self.connection, child = Pipe()
        self.cell: Cell | None = None
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE.format(path=sys.path, handle=child.fileno())],
            pass_fds=[child.fileno()],
            env={**os.environ, **_ONE_THREAD},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        child.close()

    def start(self, cell: Cell, function: str, work: Path) -> None:
        self.cell = cell
        self.connection.send((cell, function, str(work)))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.connection.close()


def run_cells(
    cells: Sequence[Cell],
    function: str,
    work: Path,
    *,
    workers: int = 2,
    budget_core_hours: float = float("inf"),
    retry_failed: bool = False,
    told: Callable[[str], None] = print,
) -> Ended:
    """Runs what is left of the cells, first things first.

    Args:
        cells: In the order of their priority.
        function: ``module:name`` of ``(cell, work) -> dict of plain values``; it may be called again for a cell that a
            kill interrupted.
        work: Folder of the ledger and of whatever the function leaves.
        workers: Cells side by side, each in a process of one thread.
        budget_core_hours: No cell is started once the ledger's cells have cost this much.
        retry_failed: Run cells again that failed before.
        told: Is told every end.
    """
    ledger = Ledger(work)
    with (work / ".cells.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _count_interrupted(ledger, work)
        before = ledger.latest()
        left = [cell for cell in cells if (row := before.get(key_of(cell))) is None or _again(row, retry_failed)]
        return _run_left(left, function, work, ledger, workers, budget_core_hours, told)


def _again(row: Row, retry_failed: bool) -> bool:
    return bool(row["status"] == "failed" and retry_failed)


def _run_left(
    left: list[Cell],
    function: str,
    work: Path,
    ledger: Ledger,
    workers: int,
    budget: float,
    told: Callable[[str], None],
) -> Ended:
    queue = list(left)
    ended: Counter[str] = Counter()
    crew: list[_Worker] = []
    try:
        while True:
            spent = ledger.core_hours() >= budget
            idle = [worker for worker in crew if worker.cell is None]
            while queue and not spent and (idle or len(crew) < workers):
                if not idle:
                    crew.append(_Worker())
                    idle.append(crew[-1])
                idle.pop().start(queue.pop(0), function, work)
            busy = {worker.connection: worker for worker in crew if worker.cell is not None}
            if not busy:
                return Ended(ended["done"], ended["failed"], len(queue), bool(queue) and spent)
            for ready in wait(list(busy)):
                worker = busy[ready]
                row = _row_of(worker, work)
                ledger.append(row)
                ended[row["status"]] += 1
                told(_line(row))
                if worker.process.poll() is not None:
                    crew.remove(worker)
                    worker.end()
    finally:
        for worker in crew:
            worker.end()
        _count_interrupted(ledger, work)


def _row_of(worker: _Worker, work: Path) -> Row:
    """The row of a cell whose worker has something to say, if only by having died."""
    cell, worker.cell = worker.cell, None
    try:
        row: Row = worker.connection.recv()
    except (EOFError, OSError):
        code = worker.process.wait()
        note = work / RUNNING / f"{worker.process.pid}.json"
        spent = json.loads(note.read_text()) if note.exists() else {"cpu_seconds": 0.0, "wall_seconds": 0.0}
        costs = {name: spent[name] for name in ("cpu_seconds", "wall_seconds")}
        row = {"cell": cell, "status": "failed", "error": f"its process ended with code {code}", **costs}
    (work / RUNNING / f"{worker.process.pid}.json").unlink(missing_ok=True)
    return {**row, "ended": datetime.now(UTC).isoformat(timespec="seconds")}


def _line(row: Row) -> str:
    names = " ".join(str(value) for value in row["cell"].values())
    cost = f"{row['cpu_seconds']:.0f} s CPU, {row['wall_seconds']:.0f} s wall"
    return f"{row['status']}: {names} ({cost})" + (f": {row['error']}" if row["status"] == "failed" else "")


def _count_interrupted(ledger: Ledger, work: Path) -> None:
    """Turns the notes of cells that a kill interrupted into rows, so that the budget knows of them."""
    for note in sorted((work / RUNNING).glob("*.json")):
        spent = json.loads(note.read_text())
        ledger.append({**spent, "status": "interrupted"})
        note.unlink()


def serve(handle: int) -> None:
    """What a worker process does: cells, one after another, until the parent is gone."""
    connection = Connection(handle)
    while True:
        try:
            cell, function, work = connection.recv()
        except (EOFError, OSError):
            os._exit(1)
        connection.send(_run_one(cell, function, Path(work)))


def _run_one(cell: Cell, function: str, work: Path) -> Row:
    module, name = function.split(":")
    clock = _Clock(cell, work / RUNNING / f"{os.getpid()}.json")
    try:
        result = getattr(importlib.import_module(module), name)(dict(cell), work)
        json.dumps(result, allow_nan=False)  # what cannot be written down is no result
        outcome: Row = {"status": "done", "result": result}
    except Exception as error:
        trace = traceback.format_exc(limit=-3)
        outcome = {"status": "failed", "error": f"{type(error).__name__}: {error}", "traceback": trace}
    clock.stop()
    return {"cell": cell, **outcome, **clock.costs()}


class _Clock:
    """Counts what a cell costs and notes it on the disk now and then; ends the process when the parent dies."""

    def __init__(self, cell: Cell, note: Path) -> None:
        self.cell, self.note, self.parent = cell, note, os.getppid()
        self.cpu, self.wall = time.process_time(), time.perf_counter()
        note.parent.mkdir(parents=True, exist_ok=True)
        self._write()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def costs(self) -> dict[str, float]:
        cpu, wall = time.process_time() - self.cpu, time.perf_counter() - self.wall
        return {"cpu_seconds": round(cpu, 2), "wall_seconds": round(wall, 2)}

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _write(self) -> None:
        temporary = self.note.with_suffix(".part")
        temporary.write_text(json.dumps({"cell": self.cell, **self.costs()}))
        temporary.replace(self.note)

    def _beat(self) -> None:
        last = time.perf_counter()
        while not self._stopped.wait(0.5):
            if os.getppid() != self.parent:
                self._write()
                os._exit(1)
            if time.perf_counter() - last >= _HEARTBEAT:
                last = time.perf_counter()
                self._write()


def status(cells: Iterable[Cell], work: Path) -> str:
    """How many cells of each experiment are done, failed and not run; what failed; what it has cost."""
    ledger = Ledger(work)
    latest = ledger.latest()
    counts: dict[str, Counter[str]] = {}
    failures = []
    for cell in cells:
        row = latest.get(key_of(cell))
        counts.setdefault(str(cell["experiment"]), Counter())["not run" if row is None else row["status"]] += 1
        if row is not None and row["status"] == "failed":
            failures.append(_line(row))
    lines = [
        f"{name}: {count['done']} done, {count['failed']} failed, {count['not run']} not run"
        for name, count in counts.items()
    ]
    return "\n".join([*lines, *failures, f"{ledger.core_hours():.2f} core-hours in all"])
