"""Captioning: slices -> texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..rooms import open_room
from .registry import list_captioners

if TYPE_CHECKING:
    from .run import run as run

__all__ = ["list_captioners", "run"]

open_room(__name__)
