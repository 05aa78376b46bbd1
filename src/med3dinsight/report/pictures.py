"""Slices as pictures inside data URIs, with the marks that say which side of the patient is which."""

from __future__ import annotations

import base64
import colorsys
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..types import Modality, Plane

#: Marks left, right, above and below a picture of each plane, as ``slices/pixels.py`` displays it.
MARKS: dict[Plane, tuple[str, str, str, str]] = {
    Plane.AXIAL: ("R", "L", "A", "P"),
    Plane.CORONAL: ("R", "L", "S", "I"),
    Plane.SAGITTAL: ("A", "P", "S", "I"),
}
#: What the marks mean, for the legend.
MARK_WORDS = "R right, L left, A front (anterior), P back (posterior), S head end (superior), I foot end (inferior)"
#: HU from black to white under a label map: soft tissue, with the lungs' outline still to be seen.
CT_WINDOW = (-250.0, 350.0)

_PALETTE = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (204, 121, 167), (240, 228, 66), (213, 94, 0), (0, 114, 178))
_FILL = 0.5


@dataclass(frozen=True)
class Picture:
    """A picture: where it is, what it shows in words, its size in CSS pixels, and its four marks."""

    source: str
    alt: str
    width: int
    height: int
    marks: tuple[str, str, str, str]


def colour_of(index: int) -> tuple[int, int, int]:
    """Returns the colour, RGB 0..255, of class ``index`` (1 = the first class)."""
    if index <= len(_PALETTE):
        return _PALETTE[index - 1]
    red, green, blue = colorsys.hsv_to_rgb((index * 0.618034) % 1.0, 0.6, 0.95)
    return round(red * 255), round(green * 255), round(blue * 255)


def css_colour(index: int) -> str:
    """Returns the colour of a class for a style sheet.

    Example:
        >>> css_colour(1)
        '#e69f00'
    """
    return "#" + "".join(f"{part:02x}" for part in colour_of(index))


def windowed(pixels: NDArray[np.generic], modality: Modality, window: tuple[float, float]) -> NDArray[np.uint8]:
    """Turns intensities into grey values: a soft-tissue window in CT, the case's own window in MR.

    Args:
        pixels: ``(rows, columns)`` in file units.
        modality: "ct" or "mr".
        window: Intensities that became 0 and 255 when the case was prepared.
    """
    low, high = CT_WINDOW if modality == "ct" else window
    scaled = (pixels.astype(np.float32) - low) / max(high - low, 1e-6)
    return (np.clip(scaled, 0, 1) * 255).astype(np.uint8)


def display_size(shape: tuple[int, ...], spacing_mm: tuple[float, float], width: int, tallest: int) -> tuple[int, int]:
    """Returns width and height in pixels of a picture in true proportions.

    Args:
        shape: Its rows and columns in voxels.
        spacing_mm: Height and width of a voxel.
        width: Wanted width.
        tallest: Largest height; a taller picture is made smaller as a whole.

    Example:
        >>> display_size((20, 100), (2.5, 0.5), 320, 400)
        (320, 320)
    """
    rows, columns = shape
    height = width * (rows * spacing_mm[0]) / (columns * spacing_mm[1])
    shrink = min(1.0, tallest / height)
    return max(1, round(width * shrink)), max(1, round(height * shrink))


def painted(grey: NDArray[np.uint8], classes: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Lays a label map over a slice: filled lightly, with an outline.

    Args:
        grey: ``(rows, columns)`` the slice as displayed.
        classes: ``(rows, columns)`` class indices on the same grid.
        size: Width and height to scale to.

    Returns:
        ``(height, width, 3)`` uint8.
    """
    from PIL import Image

    scaled = np.asarray(Image.fromarray(np.ascontiguousarray(grey)).resize(size, Image.Resampling.BICUBIC))
    drawn = np.asarray(Image.fromarray(np.ascontiguousarray(classes)).resize(size, Image.Resampling.NEAREST))
    picture = np.repeat(scaled[..., None], 3, axis=2).astype(np.float32)
    edge = np.zeros(drawn.shape, dtype=bool)
    for here, there in (((slice(None, -1),), (slice(1, None),)), ((..., slice(None, -1)), (..., slice(1, None)))):
        changes = drawn[here] != drawn[there]
        edge[here] |= changes
        edge[there] |= changes
    for index in np.unique(drawn[drawn > 0]).tolist():
        colour = np.array(colour_of(index), dtype=np.float32)
        inside = drawn == index
        picture[inside] = (1 - _FILL) * picture[inside] + _FILL * colour
        picture[inside & edge] = colour
    return picture.round().astype(np.uint8)


def png_uri(content: bytes) -> str:
    """Returns a PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def jpeg_uri(pixels: NDArray[np.uint8]) -> str:
    """Encodes ``(rows, columns, 3)`` uint8 as JPEG, without blurring the colours, in a data URI."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=88, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
