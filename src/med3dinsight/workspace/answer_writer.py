"""The one thread that writes to the answer ledger: what has queued up goes into one transaction."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from .answer_tables import REMEDY, connect
from .sqlite_errors import sqlite_errors

T = TypeVar("T")


class AnswerWriter:
    """Writes in the order that it is asked to.

    Args:
        path: The ledger's file, set up.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: queue.SimpleQueue[tuple[Callable[[sqlite3.Connection], Any], Future[Any]] | None]
        self._queue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="answer-ledger", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Has something done in the next transaction; it is durable when the future is done."""
        future: Future[T] = Future()
        # Running futures cannot be cancelled: a write that was asked for is made, whoever still waits for it.
        future.set_running_or_notify_cancel()
        self._queue.put((work, future))
        return future

    def close(self) -> None:
        """Writes what is queued, and ends the thread."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _write(self) -> None:
        database = connect(self._path)
        closing = False
        while not closing:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            closing = None in batch
            works = [item for item in batch if item is not None]
            try:
                with sqlite_errors(self._path, REMEDY):
                    database.execute("BEGIN IMMEDIATE")
                    results = [work(database) for work, _ in works]
                    database.execute("COMMIT")
            except BaseException as error:  # the thread lives on: whoever waits for a write is told
                if database.in_transaction:
                    database.execute("ROLLBACK")
                for _, future in works:
                    future.set_exception(error)
            else:
                for (_, future), result in zip(works, results, strict=True):
                    future.set_result(result)
        database.close()
