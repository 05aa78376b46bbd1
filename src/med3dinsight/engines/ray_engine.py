"""The engine ``ray``: the same function as Ray tasks, on an existing cluster or on one of this machine alone.

Which cluster: the one that ``RAY_ADDRESS`` names; else one that ``ray start`` runs on this machine; else a small
one is started here for as long as the work takes. The package must be installed on every node, and the nodes must
see the scans under the same paths.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from types import ModuleType
from typing import Any

from ..errors import ConfigError
from .attempt import Failed, Item, Result, attempt, died
from .cores import usable_cores

#: Tasks submitted and not yet taken, for each that can run at a time.
WINDOW = 3
#: Seconds.
_REACHED_WITHIN = 10.0


def run_ray(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Generator[Result | Failed, None, None]:
    """Applies a function to items as Ray tasks of one core each.

    A task whose process dies is tried once more with no other beside it; only then has its item failed.

    Args:
        function: A function of a module, or a ``functools.partial`` of one; it and items and results are pickled.
        items: At most ``WINDOW`` for each task at a time are taken before their results are.
        workers: Tasks at a time; 0 means one a core of the cluster.

    Yields:
        For each item, in order, what the function returned, or a :class:`Failed`.

    Raises:
        ConfigError: Ray is not installed, or there is no cluster at ``RAY_ADDRESS``.
        Med3DInsightError: As :func:`~med3dinsight.engines.attempt.attempt`.
    """
    try:
        import ray
    except ImportError:
        raise ConfigError(
            "the engine ray needs Ray, which is not installed", "pip install 'med3dinsight[ray]'"
        ) from None
    with _cluster(ray, workers):
        yield from _Tasks(ray, function, workers or cluster_cores()).run(items)


def cluster_cores() -> int:
    """Returns how many cores the cluster has that this process has reached: while the engine takes its items."""
    import ray

    return max(1, int(ray.cluster_resources().get("CPU", 1)))


@contextlib.contextmanager
def _cluster(ray: ModuleType, workers: int) -> Iterator[None]:
    if ray.is_initialized():  # the caller's own connection stays
        yield
        return
    quiet = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address := os.environ.get("RAY_ADDRESS", ""):
        _refuse_unreachable(address)
        ray.init(address=address, **quiet)
    else:
        try:
            ray.init(address="auto", **quiet)
        except ConnectionError:
            cores = workers or usable_cores()
            print(f"no Ray cluster is running: one of {cores} cores is started for this work", file=sys.stderr)
            ray.init(address="local", num_cpus=cores, include_dashboard=False, **quiet)
    try:
        yield
    finally:
        ray.shutdown()


def _refuse_unreachable(address: str) -> None:
    """Looks whether anybody listens there: Ray itself would try for many minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=_REACHED_WITHIN).close()
    except OSError as error:
        raise ConfigError(
            f"there is no Ray cluster at {address} (RAY_ADDRESS): {error.strerror or error}",
            "start one with `ray start --head`, or unset it",
        ) from None


class _Tasks:
    """Tasks in the order of their items, a bounded number at a time."""

    def __init__(self, ray: ModuleType, function: Callable[[Any], Any], at_a_time: int) -> None:
        self._ray, self._at_a_time = ray, at_a_time
        self._function = ray.put(function)
        self._task = ray.remote(num_cpus=1, max_retries=0)(attempt)

    def run(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yields the results in order."""
        waiting: deque[tuple[Any, Any]] = deque()
        for item in items:
            if len(waiting) >= WINDOW * self._at_a_time:
                yield self._next(waiting)
            running = [reference for _, reference in waiting]
            self._let_some_end(running)
            waiting.append((item, self._submit(item)))
        while waiting:
            yield self._next(waiting)

    def _let_some_end(self, running: list[Any]) -> None:
        """Waits until fewer tasks are in work than may be at a time."""
        done, _ = self._ray.wait(running, num_returns=len(running), timeout=0) if running else ([], [])
        if (surplus := len(running) - len(done) - self._at_a_time + 1) > 0:
            self._ray.wait(running, num_returns=len(done) + surplus)

    def _submit(self, item: Any) -> Any:
        return self._task.remote(self._function, item)

    def _next(self, waiting: deque[tuple[Any, Any]]) -> Any:
        item, reference = waiting.popleft()
        gone = self._ray.exceptions
        errors = (gone.WorkerCrashedError, gone.OutOfMemoryError, gone.NodeDiedError, gone.ObjectLostError)
        try:
            return self._get(reference)
        except errors:
            others = [other for _, other in waiting]
            if others:
                self._ray.wait(others, num_returns=len(others))
        try:
            return self._get(self._submit(item))
        except errors as error:
            return died(-9 if isinstance(error, self._ray.exceptions.OutOfMemoryError) else 1)

    def _get(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if error.cause is not None else error from None
