"""Looks for text that was burnt into the pixels: the same bright strokes through most slices of a plane.

A tripwire, no proof: names that are small, faint, or written into few slices pass it, and so does writing that
differs from slice to slice. It reads no letters; anatomy hardly ever stands still through a whole scan.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...types import Plane

#: Least value of a stroke; scales as the prepared volume, 0 to 255.
BRIGHT = 180
#: A stroke is so much brighter than the darkest pixel nearby, and a stroke's value changes so little.
CONTRAST, STEADY = 60, 8
#: Share of the slices that show anything in which a stroke must be; bright in fewer than the second is never.
SHARE, NEVER = 0.9, 0.1
#: Least number of pixels of the strokes of one line, and of slices that show anything.
LEAST_PIXELS, LEAST_SLICES = 12, 8
#: Of all pixels of a line that are ever bright, this share stands still; anatomy's borders wander.
STANDING = 0.6
#: A line of text is so many pixels high at least, and who goes along it crosses so many strokes on average. The table
#: of a CT scanner and the shaft of a bone, which stand still too, have two.
LEAST_HEIGHT, LEAST_CROSSED = 4, 2.5
#: How far, in pixels, the darker surroundings of a stroke may lie; and half the widest gap between strokes of a line.
_REACH, _GAP = 3, 2


@dataclass(frozen=True)
class BurntIn:
    """What looks like burnt-in text.

    Attributes:
        plane: In whose slices it lies.
        num_pixels: How many pixels of a slice it covers.
        num_slices: How many slices show anything.
    """

    plane: Plane
    num_pixels: int
    num_slices: int


def find_burnt_in(volume: NDArray[np.uint8]) -> BurntIn | None:
    """Looks in all three planes for bright pixels that stay the same through the slices.

    Args:
        volume: ``(x, y, z)`` uint8, prepared; slices of nothing but 0 count as padding.

    Returns:
        The plane with most of them; None where there are too few.

    Example:
        >>> scan = np.random.default_rng(0).integers(0, 90, (40, 40, 20)).astype(np.uint8)
        >>> find_burnt_in(scan) is None
        True
        >>> scan[4:30:3, 4:10] = 255
        >>> find_burnt_in(scan).plane.name
        'AXIAL'
    """
    found = [hit for plane in Plane if (hit := _in_plane(volume, plane)) is not None]
    return max(found, key=lambda hit: hit.num_pixels, default=None)


def _in_plane(volume: NDArray[np.uint8], plane: Plane) -> BurntIn | None:
    slices = np.moveaxis(volume, plane.axis, 0)
    shown = np.flatnonzero(slices.any(axis=(1, 2)))
    if (number := len(shown)) < LEAST_SLICES:
        return None
    slices = slices[int(shown[0]) : int(shown[-1]) + 1]  # padding lies at the ends
    often = np.count_nonzero(slices >= BRIGHT, axis=0) / number
    strokes = often >= SHARE
    if np.count_nonzero(strokes) < LEAST_PIXELS:
        return None
    columns = slices[:, strokes].astype(np.int16)
    middle = np.median(columns, axis=0)
    steady = np.count_nonzero(np.abs(columns - middle) <= STEADY, axis=0) >= SHARE * number
    darkest = ndimage.minimum_filter(slices.mean(axis=0, dtype=np.float32), size=2 * _REACH + 1, mode="nearest")
    strokes[strokes] = steady & (middle - darkest[strokes] >= CONTRAST)
    covered = _lines(strokes, often > NEVER)
    return BurntIn(plane, covered, number) if covered else None


def _lines(strokes: NDArray[np.bool_], ever: NDArray[np.bool_]) -> int:
    """Counts the pixels of those strokes that lie together as lines of text do."""
    square = np.ones((3, 3), dtype=bool)
    regions, _ = ndimage.label(ndimage.binary_dilation(strokes, square, iterations=_GAP), structure=square)
    covered = 0
    for number, box in enumerate(ndimage.find_objects(np.where(strokes, regions, 0)), start=1):
        own = strokes[box] & (regions[box] == number)
        pixels = int(np.count_nonzero(own))
        bright = int(np.count_nonzero(ever & (regions == number)))
        long_enough = pixels >= LEAST_PIXELS and min(own.shape) >= LEAST_HEIGHT
        if long_enough and pixels >= STANDING * bright and _crossed(own) >= LEAST_CROSSED:
            covered += pixels
    return covered


def _crossed(strokes: NDArray[np.bool_]) -> float:
    """Returns how many strokes lie on a row of the picture, or on a column, on average of those that have any."""
    most = 0.0
    for lines in (strokes, strokes.T):
        begun = np.count_nonzero(lines[:, 1:] & ~lines[:, :-1], axis=1) + lines[:, 0]
        most = max(most, float(begun[lines.any(axis=1)].mean()))
    return most
