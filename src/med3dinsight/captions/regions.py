"""Connected regions of a picture and the few numbers about them that words are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..slices.rendering import SliceView

_NEIGHBOURS = ndimage.generate_binary_structure(2, 1)


@dataclass(frozen=True)
class Region:
    """One connected region.

    Attributes:
        label: Its number in the label picture.
        area: In cm2.
        row, column: Its centre in the picture, in pixels.
        height, width: Of its bounding box, in mm.
    """

    label: int
    area: float
    row: float
    column: float
    height: float
    width: float


def pixel_cm2(view: SliceView) -> float:
    """Returns the area of a pixel in cm2."""
    return view.spacing_mm[0] * view.spacing_mm[1] / 100.0


def find_regions(mask: NDArray[np.bool_], view: SliceView, least_cm2: float) -> tuple[list[Region], NDArray[np.int32]]:
    """Finds the connected regions of at least an area, largest first.

    Args:
        mask: ``(rows, columns)`` bool.
        view: The slice the mask belongs to.
        least_cm2: Smaller regions are left out.

    Returns:
        The regions, and the ``(rows, columns)`` label picture their numbers refer to.
    """
    labels, number = ndimage.label(mask, structure=_NEIGHBOURS)
    if number == 0:
        return [], labels
    inside = np.flatnonzero(mask)
    numbers = labels.ravel()[inside]
    pixels = np.bincount(numbers)
    order = np.argsort(-pixels[1:], kind="stable") + 1
    kept = order[pixels[order] * pixel_cm2(view) >= least_cm2]
    if not kept.size:
        return [], labels
    rows, columns = np.divmod(inside, mask.shape[1])
    row_sums, column_sums = np.bincount(numbers, weights=rows), np.bincount(numbers, weights=columns)
    boxes = ndimage.find_objects(labels)
    regions = []
    for label in map(int, kept):
        box = boxes[label - 1]
        regions.append(
            Region(
                label=label,
                area=float(pixels[label] * pixel_cm2(view)),
                row=float(row_sums[label] / pixels[label]),
                column=float(column_sums[label] / pixels[label]),
                height=(box[0].stop - box[0].start) * view.spacing_mm[0],
                width=(box[1].stop - box[1].start) * view.spacing_mm[1],
            )
        )
    return regions, labels


def grown(mask: NDArray[np.bool_], pixels: int = 1) -> NDArray[np.bool_]:
    """Returns a mask grown by some pixels in the four directions."""
    for _ in range(pixels):
        wider = mask.copy()
        wider[1:] |= mask[:-1]
        wider[:-1] |= mask[1:]
        wider[:, 1:] |= mask[:, :-1]
        wider[:, :-1] |= mask[:, 1:]
        mask = wider
    return mask


def opened(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Returns a mask without parts thinner than twice some pixels; the picture's edge does not cut."""
    return mask & grown(~grown(~mask, pixels), pixels)


def closed(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Returns a mask with gaps and holes up to twice some pixels wide closed."""
    return mask | ~grown(~grown(mask, pixels), pixels)
