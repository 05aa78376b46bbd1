"""The engine ``local``: processes of this machine, results in the order of the items, memory bounded."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from .array_messages import send_with_arrays
from .attempt import Failed, Item, Result, attempt, died
from .process import ChildProcess, ProcessDiedError, open_inbox, portable

#: Items in work or finished and not yet taken, for each worker: enough for the workers to go on while the caller
#: writes, and a bound of what is in memory.
WINDOW = 3


@dataclass(frozen=True)
class _Died:
    """The process of an item died."""

    code: int


def run_local(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Generator[Result | Failed, None, None]:
    """Applies a function to items in processes of this machine.

    One worker means this process. Otherwise each worker is a process of its own that keeps to one thread. One
    that dies (the system kills the largest when memory is short) is replaced, and its item is tried once more
    with no other beside it; only then has it failed.

    Args:
        function: A function of a module, or a ``functools.partial`` of one; it and items and results are pickled.
        items: At most ``WINDOW`` a worker are taken before their results are.
        workers: Items at a time.

    Yields:
        For each item, in order, what the function returned, or a :class:`Failed`.

    Raises:
        Med3DInsightError: As :func:`~med3dinsight.engines.attempt.attempt`.

    Example:
        >>> list(run_local(abs, [-1, 2, -3], 1))
        [1, 2, 3]
    """
    if workers <= 1:
        yield from (attempt(function, item) for item in items)
        return
    pool = _Pool(function, workers)
    try:
        yield from pool.run(items)
    finally:
        pool.close()


class _Pool:
    """Threads that each drive one process; the threads only wait."""

    def __init__(self, function: Callable[[Any], Any], workers: int) -> None:
        self.workers = workers
        self._function = function
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="engine")
        self._idle: queue.SimpleQueue[ChildProcess] = queue.SimpleQueue()
        self._all: list[ChildProcess] = []
        for _ in range(workers):
            self._idle.put(self._new())

    def run(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yields the results in order."""
        waiting: deque[tuple[Any, Future[Any]]] = deque()
        for item in items:
            if len(waiting) >= WINDOW * self.workers:
                yield self._next(waiting)
            waiting.append((item, self._threads.submit(self._work, item)))
        while waiting:
            yield self._next(waiting)

    def _next(self, waiting: deque[tuple[Any, Future[Any]]]) -> Any:
        item, future = waiting.popleft()
        outcome = future.result()
        if isinstance(outcome, _Died):
            wait([other for _, other in waiting])
            outcome = self._threads.submit(self._work, item).result()
        return died(outcome.code) if isinstance(outcome, _Died) else outcome

    def _new(self) -> ChildProcess:
        process = ChildProcess(serve)
        self._all.append(process)
        process.send(self._function)
        return process

    def _work(self, item: Any) -> Any:
        process = self._idle.get()
        try:
            process.send(item)
            kind, content = process.receive(with_arrays=True)
        except ProcessDiedError as error:
            self._all.remove(process)
            process.close()
            self._idle.put(self._new())
            return _Died(error.code)
        self._idle.put(process)
        if kind == "error":
            raise content
        return content

    def close(self) -> None:
        """Ends all processes, whatever they are doing."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in list(self._all):
            process.kill()  # a thread that waits for it wakes up
        self._threads.shutdown(wait=True)
        for process in self._all:
            process.close()


def serve(handle: int) -> None:
    """What a worker does: one item after another, until the parent is gone.

    Args:
        handle: File descriptor of its end of the pipe.
    """
    connection, inbox = open_inbox(handle)
    function = inbox.get()
    while True:
        item = inbox.get()
        try:
            answer = ("result", attempt(function, item))
        except Exception as error:
            answer = ("error", portable(error, "an item"))
        send_with_arrays(connection, answer)
        del item, answer  # not kept while waiting for the next
