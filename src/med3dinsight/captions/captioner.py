"""What every captioner is: something that puts one slice into words."""

from __future__ import annotations

from typing import Protocol

from ..slices.rendering import SliceView


class Captioner(Protocol):
    """Puts slices into words, one at a time; the same view must always give the same text."""

    def describe(self, view: SliceView) -> str:
        """Returns a plain English text for one slice."""
