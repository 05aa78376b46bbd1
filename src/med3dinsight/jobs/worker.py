"""Worker processes: they take one job after another, since importing torch costs seconds.

A worker keeps to one thread, sends its progress and errors back, and ends by itself at once when the
parent dies, however it dies, so that its locks are free for the next run.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from ..engines.process import ChildProcess, ProcessDiedError, open_inbox, portable
from ..errors import DiskFullError, Med3DInsightError, UserError
from ..types import Progress
from ..workspace import Workspace
from .job import Job

#: Seconds between two progress messages of a job.
_MESSAGE_INTERVAL = 0.1


class Worker:
    """A process that takes jobs; the parent's side of it."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self.started = 0.0
        self._process = ChildProcess(serve)
        self.connection = self._process.connection

    def start(self, job: Job, workspace: Workspace) -> None:
        """Sends a job."""
        self.job, self.started = job, time.monotonic()
        self._talk(lambda: self._process.send((job, workspace)))

    def receive(self) -> tuple[Any, ...]:
        """Returns the next message."""
        return self._talk(self._process.receive)

    def _talk(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except ProcessDiedError as error:
            raise _death(self.job.name if self.job else "", error.code) from None

    def kill(self) -> None:
        """Ends the process; stages lose at most the item in work."""
        self._process.close()


def _death(job: str, code: int) -> Med3DInsightError:
    again = "run the same command again; it goes on where it stopped"
    if code == -signal.SIGBUS:
        return DiskFullError(f"no space left on the disk during {job}", f"free some space and {again}")
    if code == -signal.SIGKILL:
        return UserError(
            f"the process of {job} was killed; the machine may have run out of memory",
            f"close other programs, or pass --set study.workers=1, and {again}",
        )
    return Med3DInsightError(f"the process of {job} ended with code {code}", again)


def serve(handle: int) -> None:
    """What a worker process does: jobs, one after another, until the parent is gone.

    Args:
        handle: File descriptor of its end of the pipe.
    """
    connection, inbox = open_inbox(handle)
    while True:
        job, workspace = inbox.get()
        connection.send(_answer(job, workspace, connection))


def _answer(job: Job, workspace: Workspace, connection: Connection) -> tuple[str, Any]:
    try:
        return "result", job.run(workspace, _sender(connection))
    except Exception as error:
        return "error", portable(error, job.name)


def _sender(connection: Connection) -> Progress:
    last = 0.0

    def send(done: int, total: int, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if done >= total or now - last >= _MESSAGE_INTERVAL:
            last = now
            connection.send(("progress", done, total, note))

    return send
