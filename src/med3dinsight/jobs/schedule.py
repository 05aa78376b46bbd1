"""The order of jobs: each as soon as what it needs is complete, as many at a time as there are workers."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any

from ..engines import usable_cores
from ..types import Watcher
from ..workspace import Workspace
from .job import Job, Outcome
from .worker import Worker


def default_workers(device: str) -> int:
    """Jobs at a time where the user does not say: one for each usable core, but one for a GPU.

    Args:
        device: auto, cpu, cuda or cuda:N.
    """
    if device.startswith("cuda"):
        return 1
    # torch takes seconds to import and is asked only where there is a driver that it could use.
    if device == "auto" and any(os.path.exists(node) for node in ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")):
        import torch

        if torch.cuda.is_available():
            return 1
    return usable_cores()


def run_jobs(
    jobs: Sequence[Job], workspace: Workspace, *, workers: int = 1, watcher: Watcher | None = None
) -> list[Outcome]:
    """Runs each job as soon as those that it comes after are complete and a worker is free.

    Args:
        jobs: In the order in which they are preferred; a job stands behind those in its ``after``.
        workspace: Where they work.
        workers: Jobs at a time.
        watcher: Told about starts, progress and ends.

    Returns:
        One outcome a job, in the order of ``jobs``.

    Raises:
        Exception: The first error of a job, as the class it was raised as; the other jobs are stopped.
    """
    for position, job in enumerate(jobs):
        if missing := set(job.after) - {earlier.name for earlier in jobs[:position]}:
            raise ValueError(f"job {job.name} comes after {missing}, which do not stand before it")
    return _Schedule(list(jobs), workspace, workers, watcher or Watcher()).run()


@dataclass
class _Schedule:
    """The jobs of one call: waiting, ready (looked at and not complete), running, and ended."""

    jobs: list[Job]
    workspace: Workspace
    workers: int
    watcher: Watcher
    ready: list[Job] = field(default_factory=list)
    idle: list[Worker] = field(default_factory=list)
    running: dict[Connection, Worker] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    def run(self) -> list[Outcome]:
        """Runs all jobs; ends all workers whatever happens."""
        waiting = list(self.jobs)
        try:
            while len(self.outcomes) < len(self.jobs):
                waiting = [job for job in waiting if not self._look_at(job)]
                while self.ready and len(self.running) < self.workers:
                    self._start(self.ready.pop(0))
                told = wait(list(self.running)) if self.running else []
                for worker in [worker for connection, worker in self.running.items() if connection in told]:
                    self._listen(worker)
        finally:
            for worker in (*self.idle, *self.running.values()):
                worker.kill()
        return [self.outcomes[job.name] for job in self.jobs]

    def _look_at(self, job: Job) -> bool:
        """Takes a job out of the waiting ones when all that it reads is there."""
        if not all(name in self.outcomes for name in job.after):
            return False
        result = job.earlier_result(self.workspace)
        if result is None:
            self.ready.append(job)
            self.ready.sort(key=self.jobs.index)
        else:
            self._end(job, result, time.monotonic(), done_before=True)
        return True

    def _start(self, job: Job) -> None:
        worker = self.idle.pop() if self.idle else Worker()
        self.running[worker.connection] = worker
        worker.start(job, self.workspace)
        self.watcher.begin(job.name)

    def _listen(self, worker: Worker) -> None:
        kind, *content = worker.receive()
        assert worker.job is not None
        if kind == "progress":
            self.watcher.move(worker.job.name, *content)
        elif kind == "error":
            raise content[0]
        else:
            del self.running[worker.connection]
            self.idle.append(worker)
            self._end(worker.job, content[0], worker.started, done_before=False)

    def _end(self, job: Job, result: Any, started: float, done_before: bool) -> None:
        seconds = time.monotonic() - started
        self.outcomes[job.name] = Outcome(job, result, started - self.started, seconds, done_before)
        self.watcher.end(job.name, seconds, done_before)
