"""Progress on standard error: bars with the time left on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..types import Progress, Watcher

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

#: Seconds between two lines about the same job where there is no terminal.
LINE_INTERVAL = 15.0


@contextlib.contextmanager
def watching() -> Iterator[Watcher]:
    """Gives a watcher that shows jobs while the block runs."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[note]}", style="dim", markup=False),
    )
    with progress.Progress(*columns, console=Console(stderr=True)) as bars:
        yield Bars(bars)


@contextlib.contextmanager
def watching_one(job: str) -> Iterator[Progress]:
    """Gives the progress reporter of a single job."""
    with watching() as watcher:
        watcher.begin(job)
        yield lambda done, total, note="": watcher.move(job, done, total, note)


class Bars(Watcher):
    """One bar a running job."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def begin(self, job: str) -> None:
        """Adds a bar."""
        self._tasks[job] = self._bars.add_task(job, total=None, note="")

    def move(self, job: str, done: int, total: int, note: str) -> None:
        """Moves a bar."""
        self._bars.update(self._tasks[job], completed=done, total=total, note=note)

    def end(self, job: str, seconds: float, done_before: bool) -> None:
        """Turns a bar into a line."""
        if job in self._tasks:
            self._bars.remove_task(self._tasks.pop(job))
        self._bars.console.print(_ended(job, seconds, done_before), highlight=False, markup=False)


class Lines(Watcher):
    """A line at the start and the end of a job, and one now and then between."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._told: dict[str, float] = {}

    def begin(self, job: str) -> None:
        """Tells the start."""
        self._started[job] = self._told[job] = time.monotonic()
        _tell(f"{job}: started")

    def move(self, job: str, done: int, total: int, note: str) -> None:
        """Tells how far it is and the time left, if the last line is some time ago."""
        now = time.monotonic()
        if done and now - self._told[job] >= LINE_INTERVAL:
            self._told[job] = now
            left = (now - self._started[job]) * (total - done) / done
            _tell(f"{job}: {done} of {total}, about {left:.0f} s left" + (f", {note}" if note else ""))

    def end(self, job: str, seconds: float, done_before: bool) -> None:
        """Tells the end."""
        _tell(_ended(job, seconds, done_before))


def _ended(job: str, seconds: float, done_before: bool) -> str:
    return f"{job}: complete already" if done_before else f"{job}: done in {seconds:.1f} s"


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
