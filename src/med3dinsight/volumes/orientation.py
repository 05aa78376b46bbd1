"""Axes: from the order a file stores them in to RAS+ and back, by flips and swaps only."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from nibabel import orientations
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..types import Shape3

#: From ITK's and DICOM's world (left, posterior, superior) to ours (right, anterior, superior).
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
#: Least and largest size of a voxel along an axis, in millimetres.
SPACING_RANGE = (1e-4, 1e3)
#: Largest distance of a scan from the origin of the world, in millimetres.
MAX_ORIGIN = 1e7
#: Least determinant of the affine with its columns scaled to length 1: below it the axes are (nearly) parallel.
LEAST_DETERMINANT = 0.1


class OnSourceGrid(Protocol):
    """Anything that knows the grid of its source file: a ``Volume`` or a ``Case``."""

    @property
    def source_shape(self) -> Shape3:
        """Voxels of the file as stored."""

    @property
    def source_affine(self) -> Any:
        """4 x 4, index in the file to world millimetres (RAS+)."""


def check_affine(affine: ArrayLike, name: str) -> NDArray[np.float64]:
    """Returns the affine as float64 where it can be inverted.

    Raises:
        InputError: It is not finite, two of its axes are (nearly) parallel or have no length, or it lies beyond any
            scanner: voxels of less than 0.1 micrometre or more than a metre, or 10 km off.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    usable = bool(np.isfinite(matrix).all() and np.isfinite(lengths).all() and (lengths > 0).all())
    if not usable or abs(np.linalg.det(matrix[:3, :3] / lengths)) < LEAST_DETERMINANT:
        raise InputError(f"{name} has a singular affine", "repair its header (spacing and axes), or export it again")
    if lengths.min() < SPACING_RANGE[0] or lengths.max() > SPACING_RANGE[1]:
        sizes = " x ".join(f"{length:.3g}" for length in lengths)
        raise InputError(f"{name} has voxels of {sizes} mm", "repair its header (spacing, unit), or export it again")
    if np.abs(matrix[:3, 3]).max() > MAX_ORIGIN:
        raise InputError(f"{name} lies {np.abs(matrix[:3, 3]).max():.3g} mm off", "repair its header (origin)")
    return matrix


def canonical_axes(affine: ArrayLike) -> NDArray[np.float64]:
    """Returns for each file axis the RAS+ axis nearest to it and its direction (1 or -1), ``(3, 2)``."""
    return np.asarray(orientations.io_orientation(np.asarray(affine, dtype=np.float64)))


def to_canonical(array: NDArray[Any], source_affine: ArrayLike) -> NDArray[Any]:
    """Turns ``(i, j, k)`` as stored into a view ``(x, y, z)`` in RAS+ order."""
    return np.asarray(orientations.apply_orientation(array, canonical_axes(source_affine)))


def to_source(array: NDArray[Any], source_affine: ArrayLike) -> NDArray[Any]:
    """Turns ``(x, y, z)`` in RAS+ order into a view ``(i, j, k)`` in the order of the file."""
    ras = np.array([[0, 1], [1, 1], [2, 1]], dtype=np.float64)
    back = orientations.ornt_transform(ras, canonical_axes(source_affine))
    return np.asarray(orientations.apply_orientation(array, back))


def canonical_affine(source_affine: ArrayLike, source_shape: Shape3) -> NDArray[np.float64]:
    """Returns the affine of the RAS+ array of a file with this affine and shape."""
    matrix = np.asarray(source_affine, dtype=np.float64)
    return np.asarray(matrix @ orientations.inv_ornt_aff(canonical_axes(matrix), source_shape))


def canonical_shape(source_affine: ArrayLike, source_shape: Shape3) -> Shape3:
    """Returns the shape of the RAS+ array of a file with this affine and shape.

    Example:
        >>> canonical_shape([[0, 2, 0, 0], [2, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]], (10, 20, 30))
        (20, 10, 30)
    """
    shape = [0, 0, 0]
    for axis, target in enumerate(canonical_axes(source_affine)[:, 0]):
        shape[int(target)] = int(source_shape[axis])
    return (shape[0], shape[1], shape[2])
