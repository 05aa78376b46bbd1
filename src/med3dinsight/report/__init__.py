"""Report: everything a workspace holds -> one page that opens without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .run import run as run

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    if name == "run":
        from .run import run

        globals()["run"] = run  # importing the submodule of that name has put it in this place
        return run
    raise AttributeError(name)
