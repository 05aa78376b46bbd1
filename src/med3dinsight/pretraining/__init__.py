"""Pre-training: prepared volumes and 2D features -> a 3D encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..rooms import open_room
from .methods import list_methods

if TYPE_CHECKING:
    from .run import run as run

__all__ = ["list_methods", "run"]

open_room(__name__)
