"""Worker processes: they take one job after another, since importing torch costs seconds.

A worker keeps to one thread, sends its progress and errors back, and ends by itself at once when the
parent dies, however it dies, so that its locks are free for the next run.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

from ..errors import DiskFullError, Med3DInsightError, UserError
from ..types import Progress
from ..workspace import Workspace
from .job import Job

#: What numpy, scipy and torch read when they are imported.
_ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
_SERVE = "import sys; sys.path[:] = {path!r}; from med3dinsight.jobs.worker import serve; serve({handle})"
#: Seconds between two progress messages of a job.
_MESSAGE_INTERVAL = 0.1


class Worker:
    """A process that takes jobs; the parent's side of it."""

    def __init__(self) -> None:
        self.connection, child = Pipe()
        self.job: Job | None = None
        self.started = 0.0
        # Not multiprocessing's spawn: that runs the caller's main file again, and needs one. A session of its own
        # keeps the terminal's Ctrl-C for the parent, which ends the workers.
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVE.format(path=sys.path, handle=child.fileno())],
            pass_fds=[child.fileno()],
            env={**os.environ, **_ONE_THREAD},
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a library prints must not get into the JSON on standard output
            start_new_session=True,
        )
        child.close()

    def start(self, job: Job, workspace: Workspace) -> None:
        """Sends a job."""
        self.job, self.started = job, time.monotonic()
        self._talk(lambda: self.connection.send((job, workspace)))

    def receive(self) -> tuple[Any, ...]:
        """Returns the next message."""
        return self._talk(self.connection.recv)

    def _talk(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (EOFError, OSError):
            raise _death(self.job.name if self.job else "", self._process.wait()) from None

    def kill(self) -> None:
        """Ends the process; stages lose at most the item in work."""
        self._process.kill()
        self._process.wait()
        self.connection.close()


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
    connection = Connection(handle)
    jobs: queue.SimpleQueue[tuple[Job, Workspace]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, jobs), daemon=True).start()
    while True:
        job, workspace = jobs.get()
        connection.send(_answer(job, workspace, connection))


def _receive(connection: Connection, jobs: queue.SimpleQueue[tuple[Job, Workspace]]) -> None:
    """Takes jobs from the parent; ends the process in the middle of its work when the parent dies."""
    try:
        while True:
            jobs.put(connection.recv())
    except (EOFError, OSError):
        os._exit(1)
    except Exception:  # a job that cannot be unpickled here
        traceback.print_exc()
        os._exit(1)


def _answer(job: Job, workspace: Workspace, connection: Connection) -> tuple[str, Any]:
    try:
        return "result", job.run(workspace, _sender(connection))
    except Exception as error:
        error.add_note(f"in the process of {job.name}:\n{traceback.format_exc()}")
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            carried = RuntimeError(f"{type(error).__name__}: {error}")
            carried.add_note(error.__notes__[-1])
            return "error", carried
        return "error", error


def _sender(connection: Connection) -> Progress:
    last = 0.0

    def send(done: int, total: int, note: str = "") -> None:
        nonlocal last
        now = time.monotonic()
        if done >= total or now - last >= _MESSAGE_INTERVAL:
            last = now
            connection.send(("progress", done, total, note))

    return send
