"""Preparing: a folder of scans -> volumes of one orientation, spacing and range of intensities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..rooms import open_room

if TYPE_CHECKING:
    from .run import run as run

__all__ = ["run"]

open_room(__name__)
