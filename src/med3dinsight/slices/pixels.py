"""The pixels of a slice as a radiologist's viewer shows them; nothing else is computed.

======== ============== ===============
plane    top of picture left of picture
======== ============== ===============
axial    front          patient's right
coronal  head           patient's right
sagittal head           front
======== ============== ===============
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..records import SliceRef
from ..types import Plane, Shape3
from ..workspace.voxel_store import cut

Scalar = TypeVar("Scalar", bound=np.generic)


def displayed(volume: NDArray[Scalar], plane: Plane, index: int) -> NDArray[Scalar]:
    """Returns one slice of a RAS+ volume (or label map) as displayed.

    Args:
        volume: ``(x, y, z)`` of any dtype.
        plane: The plane of the slice.
        index: Voxel index along the plane's axis.

    Returns:
        ``(rows, columns)``: see the table in the module's docstring.

    Example:
        >>> volume = np.zeros((2, 2, 2), dtype=np.uint8)
        >>> volume[1, 1, 0] = 7  # right, front, foot end
        >>> displayed(volume, Plane.AXIAL, 0).tolist()
        [[7, 0], [0, 0]]
    """
    taken = volume[(slice(None),) * plane.axis + (index,)]  # np.take would copy some layouts whole
    return taken.T[::-1, ::-1]


def slice_pixels(volume: NDArray[Scalar], ref: SliceRef) -> NDArray[Scalar]:
    """Returns a slice as displayed, ``(rows, columns)`` of the volume's type; 0 outside of the volume.

    Args:
        volume: ``(x, y, z)``, the whole prepared volume, or its label map.
        ref: Which slice of which crop.
    """
    axis = ref.plane.axis
    origin, extent = list(ref.crop.origin), [ref.crop.size] * 3
    origin[axis], extent[axis] = origin[axis] + ref.index, 1
    corner: Shape3 = (origin[0], origin[1], origin[2])
    return np.ascontiguousarray(displayed(cut(volume, corner, (extent[0], extent[1], extent[2])), ref.plane, 0))


def square_shape(shape: tuple[int, int], spacing_mm: tuple[float, float]) -> tuple[int, int]:
    """Returns the rows and columns of a picture whose pixels are made square, at the finer of its two spacings.

    Example:
        >>> square_shape((10, 20), (3.0, 1.5))
        (20, 20)
    """
    fine = min(spacing_mm)
    rows, columns = (
        max(min(length, 1), round(length * edge / fine)) for length, edge in zip(shape, spacing_mm, strict=True)
    )
    return rows, columns


def stretched(picture: NDArray[np.uint8], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Returns a picture, interpolated linearly to more rows or columns; where nothing changes, itself."""
    from PIL import Image

    if picture.shape == shape:
        return picture
    size = (shape[1], shape[0])
    return np.asarray(Image.fromarray(np.ascontiguousarray(picture)).resize(size, Image.Resampling.BILINEAR))


def in_proportion(picture: NDArray[np.uint8], spacing_mm: tuple[float, float]) -> NDArray[np.uint8]:
    """Returns a picture for networks that resize everything to a square: nothing in it is squeezed.

    Pixels are made square and the shorter side is padded with 0 on both ends; a square picture of square pixels comes
    back as it is.

    Args:
        picture: ``(rows, columns)`` uint8.
        spacing_mm: Height and width of a pixel.

    Example:
        >>> in_proportion(np.full((2, 4), 9, dtype=np.uint8), (1.0, 1.0))[:, 0].tolist()
        [0, 9, 9, 0]
    """
    picture = stretched(picture, square_shape((picture.shape[0], picture.shape[1]), spacing_mm))
    missing = [max(picture.shape) - length for length in picture.shape]
    if not any(missing):
        return picture
    return np.pad(picture, [(short // 2, short - short // 2) for short in missing])
