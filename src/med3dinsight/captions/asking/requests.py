"""A slice as a request: the picture, the chat-completions body, and the names by which both are known again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ...slices.rendering import SliceView, png

#: Raise it whenever the same slice is drawn otherwise.
PICTURE_VERSION = 1


def key_of(body: Mapping[str, Any]) -> str:
    """Returns the name of a request: a hash of its whole body.

    Example:
        >>> key_of({"model": "m", "messages": []}) == key_of({"messages": [], "model": "m"})
        True
    """
    return hashlib.sha256(canonical(body)).hexdigest()


def slice_fingerprint(
    *, voxels: str, origin: tuple[int, int, int], size: int, plane: str, index: int, settings: Mapping[str, Any]
) -> str:
    """Returns the name of all that decides a slice's request, so that a known one need not be drawn.

    Args:
        voxels: Hash of the prepared volume with all of its record that the picture or the prompt depends on.
        origin: First voxel of the crop.
        size: Edge of the crop.
        plane: Of the slice.
        index: Of the slice in the crop.
        settings: All else: prompt, schema, model, parameters, picture size.

    Returns:
        Hex digest; no name of a case or file is in it.
    """
    parts = [PICTURE_VERSION, voxels, origin, size, plane, index, settings]
    return hashlib.sha256(canonical(parts)).hexdigest()


def picture_of(view: SliceView, size: int) -> bytes:
    """Returns a slice as a square grey PNG that holds nothing but pixels.

    Args:
        view: The slice; pixels become square and padding outside of the scan stays black.
        size: Edge in pixels; the longer side is drawn as long, the shorter one is padded with black.
    """
    import numpy as np
    from PIL import Image

    pixels = view.with_square_pixels().pixels
    rows, columns = (max(1, round(length * size / max(pixels.shape))) for length in pixels.shape)
    drawn = Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BICUBIC)
    square = np.zeros((size, size), dtype=np.uint8)
    top, left = (size - rows) // 2, (size - columns) // 2
    square[top : top + rows, left : left + columns] = np.asarray(drawn)
    return png(square)


def canonical(value: Any) -> bytes:
    """Returns plain values as JSON in the one form that is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
