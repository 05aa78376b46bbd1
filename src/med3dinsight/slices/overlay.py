"""A label map over a slice: colours of classes, filled lightly, with an outline."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

_PALETTE = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (240, 228, 66), (213, 94, 0), (0, 114, 178))
_FILL = 0.5


def colour_of(index: int) -> tuple[int, int, int]:
    """Returns the colour, RGB 0..255, of class ``index`` (1 = the first class)."""
    if index <= len(_PALETTE):
        return _PALETTE[index - 1]
    red, green, blue = colorsys.hsv_to_rgb((index * 0.618034) % 1.0, 0.6, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def painted(
    grey: NDArray[np.uint8], classes: NDArray[np.integer], size: tuple[int, int], fill: float = _FILL
) -> NDArray[np.uint8]:
    """Lays a label map over a slice: filled lightly, with an outline.

    Args:
        grey: ``(rows, columns)`` the slice as displayed.
        classes: ``(rows, columns)`` class indices; the grid may be another one of the same extent.
        size: Width and height to scale both to.
        fill: How much of a class's colour covers what is inside, 0 (outline only) to 1.

    Returns:
        ``(height, width, 3)`` uint8.
    """
    from PIL import Image

    scaled = np.asarray(Image.fromarray(np.ascontiguousarray(grey)).resize(size, Image.Resampling.BICUBIC))
    numbers = Image.fromarray(np.ascontiguousarray(classes.astype(np.int32)))
    drawn = np.asarray(numbers.resize(size, Image.Resampling.NEAREST))
    picture = np.repeat(scaled[..., None], 3, axis=2).astype(np.float32)
    edge = np.zeros(drawn.shape, dtype=bool)
    for here, there in (((slice(None, -1),), (slice(1, None),)), ((..., slice(None, -1)), (..., slice(1, None)))):
        changes = drawn[here] != drawn[there]
        edge[here] |= changes
        edge[there] |= changes
    for index in np.unique(drawn[drawn > 0]).tolist():
        colour = np.array(colour_of(index), dtype=np.float32)
        inside = drawn == index
        picture[inside] = (1 - fill) * picture[inside] + fill * colour
        picture[inside & edge] = colour
    return picture.round().astype(np.uint8)
