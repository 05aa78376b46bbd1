"""What makes a package a stage's room: ``room.run(config, workspace)``, with its ``run.py`` loaded on first use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class StageRoom(ModuleType):
    """A package whose function ``run`` is not hidden by its submodule ``run``.

    Python binds a submodule to its package under its name as soon as anybody imports it, in whatever order.
    """

    @property
    def run(self) -> Callable[..., Any]:
        """The stage's function, ``run(config, workspace, *, progress)``."""
        function: Callable[..., Any] = importlib.import_module(f"{self.__name__}.run").run
        return function

    @run.setter
    def run(self, submodule: ModuleType) -> None:
        """Takes no notice of the submodule."""


def open_room(package: str) -> None:
    """Makes a package a stage's room; called by its ``__init__.py`` with ``__name__``."""
    sys.modules[package].__class__ = StageRoom
