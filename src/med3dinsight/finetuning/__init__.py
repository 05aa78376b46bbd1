"""Fine-tuning: an encoder, scratch or pre-trained, and labels -> a model that segments or classifies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..rooms import open_room

if TYPE_CHECKING:
    from .run import run as run

__all__ = ["run"]

open_room(__name__)
