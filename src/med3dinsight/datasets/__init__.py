"""Where scans come from: layouts of source folders, and the sample data out of registry packages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checking import CheckResult as CheckResult
    from .checking import check as check
    from .layout import Facts as Facts
    from .layout import Layout as Layout
    from .registry import LAYOUTS as LAYOUTS
    from .registry import detect as detect
    from .registry import find as find
    from .registry import names as names

__all__ = ["LAYOUTS", "CheckResult", "Facts", "Layout", "check", "detect", "find", "names"]


def __getattr__(name: str) -> Any:
    """Loads the layouts on first use: studies and weights only need the package archives, which are quick to load."""
    if name not in __all__:
        raise AttributeError(name)
    from . import checking, layout, registry

    return next(getattr(module, name) for module in (registry, checking, layout) if hasattr(module, name))
