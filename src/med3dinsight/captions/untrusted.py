"""Texts that somebody else wrote, as they go to the caption ledger."""

from __future__ import annotations

from ..types import Modality, Plane
from ..workspace.caption_store import Written
from .asking.flags import flags_of
from .asking.length import shortened
from .wording import MODALITY_WORDS


def untrusted(key: str, text: str, plane: Plane, modality: Modality) -> Written:
    """Returns a text with what is to be noticed about the whole of it, cut where it is too long.

    Args:
        key: Of its slice.
        text: As it was written.
        plane: Of the slice.
        modality: Of the slice.

    Example:
        >>> untrusted("a", "A coronal slice.", Plane.AXIAL, "ct").flags
        ('wrong-plane',)
    """
    flags = flags_of(text, plane=plane.name.lower(), modality=MODALITY_WORDS[modality])
    return Written(key, shortened(text), flags)
