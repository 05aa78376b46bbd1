"""Pre-training: prepared volumes and 2D features -> a 3D encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .methods import list_methods

if TYPE_CHECKING:
    from .run import run as run

__all__ = ["list_methods", "run"]


def __getattr__(name: str) -> Any:
    if name == "run":
        from .run import run

        globals()["run"] = run  # importing the submodule of that name has put it in this place
        return run
    raise AttributeError(name)
