"""Captioners that other packages bring: entry points of the group ``med3dinsight.captioners``.

An entry point's name is the captioner's; it leads to a function without arguments (a class will do) that returns
something with ``describe(view) -> str``. It is imported when it is used, never to be listed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from ..errors import ConfigError, Med3DInsightError

if TYPE_CHECKING:
    from .captioner import Captioner

GROUP = "med3dinsight.captioners"


def find_plug_ins(taken: Collection[str]) -> dict[str, tuple[Callable[[], Captioner], str]]:
    """Returns loader and package of each plug-in by its name.

    Args:
        taken: Names of built-in captioners, which stay theirs.
    """
    found: dict[str, tuple[Callable[[], Captioner], str]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, _package(point))):
        if point.name not in taken and point.name not in found:
            found[point.name] = (lambda point=point: _load(point), f"package {_package(point)}")  # type: ignore[misc]
    return found


def _load(point: EntryPoint) -> Captioner:
    what = f"the captioner plug-in {point.name} of package {_package(point)}"
    hint = "update or uninstall that package"
    try:
        captioner: Captioner = point.load()()
    except Med3DInsightError:
        raise  # it speaks our errors
    except Exception as error:  # anything that somebody else's code can raise
        raise ConfigError(f"{what} is broken: {type(error).__name__}: {error}", hint) from error
    if not callable(getattr(captioner, "describe", None)):
        raise ConfigError(f"{what} gives a {type(captioner).__name__}, which has no method `describe`", hint)
    return captioner


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "of unknown name"
