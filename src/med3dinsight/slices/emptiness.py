"""Slices that show next to nothing are not worth a question."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..records import SliceRef

#: A slice with fewer voxels above this stored intensity than this share of it is empty.
EMPTY_LEVEL, EMPTY_SHARE = 13, 0.02


def is_empty(voxels: NDArray[np.uint8], ref: SliceRef) -> bool:
    """Whether a slice of a crop shows next to nothing.

    Args:
        voxels: ``(s, s, s)`` uint8, the crop.
        ref: A slice of it.
    """
    plane = np.take(voxels, ref.index, axis=ref.plane.axis)
    return bool((plane > EMPTY_LEVEL).mean() < EMPTY_SHARE)
