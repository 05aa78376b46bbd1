"""Auditing captions: how far the texts agree with the scans' headers and label maps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..rooms import open_room

if TYPE_CHECKING:
    from .run import run as run

__all__ = ["run"]

open_room(__name__)
