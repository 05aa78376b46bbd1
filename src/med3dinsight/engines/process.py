"""A child process that takes messages and answers, keeps to one thread, and never outlives its parent."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any

from .array_messages import receive_with_arrays

#: What numpy, scipy and torch read when they are imported.
_ONE_THREAD = {
    name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
}
_SERVE = "import sys; sys.path[:] = {path!r}; from {module} import {name}; {name}({handle})"


class ProcessDiedError(Exception):
    """The child is gone.

    Args:
        code: Its exit code; negative for a signal.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class ChildProcess:
    """The parent's side of a child process.

    Args:
        serve: What the child does, a function of a module; it gets the file descriptor of its end of the pipe and
            hands it to :func:`open_inbox`.
    """

    def __init__(self, serve: Callable[[int], None]) -> None:
        self.connection, child = Pipe()
        code = _SERVE.format(path=sys.path, module=serve.__module__, name=serve.__name__, handle=child.fileno())
        # Not multiprocessing's spawn: that runs the caller's main file again, and needs one. A session of its own
        # keeps the terminal's Ctrl-C for the parent, which ends the children.
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            pass_fds=[child.fileno()],
            env={**os.environ, **_ONE_THREAD},
            stdin=subprocess.DEVNULL,
            stdout=2,  # what a library prints must not get into the JSON on standard output
            start_new_session=True,
        )
        child.close()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def send(self, message: Any) -> None:
        """Sends a message.

        Raises:
            ProcessDiedError: The child is gone.
        """
        self._talk(lambda: self.connection.send(message))

    def receive(self, *, with_arrays: bool = False) -> Any:
        """Returns the child's next message.

        Args:
            with_arrays: It was sent by :func:`~med3dinsight.engines.array_messages.send_with_arrays`.

        Raises:
            ProcessDiedError: The child is gone.
        """
        if with_arrays:
            return self._talk(lambda: receive_with_arrays(self.connection))
        return self._talk(self.connection.recv)

    def _talk(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (EOFError, OSError):
            raise ProcessDiedError(self._process.wait()) from None

    def kill(self) -> None:
        """Ends the process at once."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Ends the process at once and closes the pipe; nobody may be waiting for an answer any more."""
        self.kill()
        self.connection.close()


def open_inbox(handle: int) -> tuple[Connection, queue.SimpleQueue[Any]]:
    """Returns the child's end of the pipe and the queue of what the parent sends.

    The process ends at once, in the middle of its work, when the parent dies, however it dies: so its locks are
    free for the next run.

    Args:
        handle: File descriptor of the child's end of the pipe.
    """
    connection = Connection(handle)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    return connection, inbox


def _receive(connection: Connection, inbox: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            inbox.put(connection.recv())
    except (EOFError, OSError):
        os._exit(1)
    except Exception:  # a message that cannot be unpickled here
        traceback.print_exc()
        os._exit(1)


def portable(error: Exception, place: str) -> Exception:
    """Returns an error that can be sent to another process, with a note of where it was raised.

    Args:
        error: Any error, while it is being handled.
        place: Names the process.
    """
    import pickle

    error.add_note(f"in the process of {place}:\n{traceback.format_exc()}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        carried = RuntimeError(f"{type(error).__name__}: {error}")
        carried.add_note(error.__notes__[-1])
        return carried
    return error
