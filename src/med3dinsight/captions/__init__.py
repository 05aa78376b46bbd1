"""Captioning: slices -> texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .registry import list_captioners

if TYPE_CHECKING:
    from .run import run as run

__all__ = ["list_captioners", "run"]


def __getattr__(name: str) -> Any:
    if name == "run":
        from .run import run

        globals()["run"] = run  # importing the submodule of that name has put it in this place
        return run
    raise AttributeError(name)
