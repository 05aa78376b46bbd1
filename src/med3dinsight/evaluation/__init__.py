"""Evaluation: predictions of fine-tuned models, and read-outs of pre-trained ones, -> scores with statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..rooms import open_room

if TYPE_CHECKING:
    from .run import run as run

__all__ = ["run"]

open_room(__name__)
