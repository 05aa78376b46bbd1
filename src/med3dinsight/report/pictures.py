"""Slices as pictures inside data URIs, with the marks that say which side of the patient is which."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..slices.marks import MARK_WORDS as MARK_WORDS
from ..slices.marks import MARKS as MARKS
from ..slices.overlay import colour_of as colour_of
from ..slices.overlay import painted as painted
from ..types import Modality

#: HU from black to white under a label map: soft tissue, with the lungs' outline still to be seen.
CT_WINDOW = (-250.0, 350.0)


@dataclass(frozen=True)
class Picture:
    """A picture: where it is, what it shows in words, its size in CSS pixels, and its four marks."""

    source: str
    alt: str
    width: int
    height: int
    marks: tuple[str, str, str, str]


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


def png_uri(content: bytes) -> str:
    """Returns a PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(content).decode()


def jpeg_uri(pixels: NDArray[np.uint8]) -> str:
    """Encodes ``(rows, columns, 3)`` uint8 as JPEG, without blurring the colours, in a data URI."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=88, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
