"""Embedding: slices and texts -> frozen 2D features and the targets of pre-training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..rooms import open_room

if TYPE_CHECKING:
    from .run import run as run

__all__ = ["run"]

open_room(__name__)
