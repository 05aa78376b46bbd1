"""The engines by name."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

#: ``engine(function, items, workers)`` yields, for each item in order, a result or a ``Failed``.
Engine = Callable[[Callable[[Any], Any], Iterable[Any], int], Generator[Any, None, None]]


def _local(function: Callable[[Any], Any], items: Iterable[Any], workers: int) -> Generator[Any, None, None]:
    from .local import run_local

    return run_local(function, items, workers)


def _ray(function: Callable[[Any], Any], items: Iterable[Any], workers: int) -> Generator[Any, None, None]:
    from .ray_engine import run_ray

    return run_ray(function, items, workers)


ENGINES: dict[str, Engine] = {"local": _local, "ray": _ray}
