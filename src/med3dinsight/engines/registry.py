"""The engines by name."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

from .cores import usable_cores

#: ``engine(function, items, workers)`` yields, for each item in order, a result or a ``Failed``.
Engine = Callable[[Callable[[Any], Any], Iterable[Any], int], Generator[Any, None, None]]


def _local(function: Callable[[Any], Any], items: Iterable[Any], workers: int) -> Generator[Any, None, None]:
    from .local import run_local

    return run_local(function, items, workers)


def num_processes(engine: str, workers: int) -> int:
    """Returns how many items an engine works on at a time.

    Args:
        engine: A name of :data:`ENGINES`.
        workers: As the engine is given it; 0 means one a core. Of a Ray cluster this is known only while the engine
            takes its items.
    """
    if workers:
        return workers
    if engine == "local":
        return usable_cores()
    from .ray_engine import cluster_cores

    return cluster_cores()


def _ray(function: Callable[[Any], Any], items: Iterable[Any], workers: int) -> Generator[Any, None, None]:
    from .ray_engine import run_ray

    return run_ray(function, items, workers)


ENGINES: dict[str, Engine] = {"local": _local, "ray": _ray}
