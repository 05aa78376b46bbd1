"""Resampling along the axes in one separable pass, antialiased where the grid becomes coarser.

A grid is described against the RAS+ array of a file: voxel ``k`` of an axis has its centre at index
``offset + scale * k`` of the array. Its extent (from the outer face of the first voxel to that of
the last) is centred on the array's extent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..types import Shape3, Vector3

#: Voxels of float32 that are worked on at once: what a core's cache holds.
_SLAB_VOXELS = 1 << 18
#: Rows of a band: fewer waste calls, more waste products by 0.
_BAND_ROWS = 16
#: Largest prepared volume, in voxels.
MAX_VOXELS = 1 << 31


@dataclass(frozen=True)
class Grid:
    """Where the voxels of a prepared volume lie in the RAS+ array of its file.

    Attributes:
        shape: Voxels along x, y, z.
        scale: Array voxels a grid voxel, along x, y, z.
        offset: Array index of the centre of the first grid voxel, along x, y, z.
    """

    shape: Shape3
    scale: Vector3
    offset: Vector3

    def affine(self, array_affine: NDArray[np.float64]) -> NDArray[np.float64]:
        """Returns the 4 x 4 affine of the grid, given that of the array."""
        affine = np.array(array_affine, dtype=np.float64)
        affine[:3, 3] += affine[:3, :3] @ np.array(self.offset)
        affine[:3, :3] *= self.scale
        return affine

    def positions(self, axis: int) -> NDArray[np.float64]:
        """Returns the array indices of the voxel centres along an axis."""
        return self.offset[axis] + self.scale[axis] * np.arange(self.shape[axis], dtype=np.float64)


def native_grid(shape: Shape3, spacing_mm: Vector3, target_mm: float | Vector3) -> Grid:
    """Returns the grid of one voxel size that covers an array best, to the nearest voxel.

    Args:
        shape: Voxels of the array.
        spacing_mm: Its voxel size.
        target_mm: Edge of a grid voxel, or its three edges along x, y, z.

    Raises:
        InputError: The grid would have more than 2**31 voxels.

    Example:
        >>> native_grid((10, 10, 5), (1.0, 1.0, 3.0), 2.0).shape
        (5, 5, 8)
        >>> native_grid((10, 10, 5), (1.0, 1.0, 3.0), (2.0, 2.0, 3.0)).shape
        (5, 5, 5)
    """
    edges = target_mm if isinstance(target_mm, tuple) else (target_mm,) * 3
    counts = [max(1, round(length * step / edge)) for length, step, edge in zip(shape, spacing_mm, edges, strict=True)]
    if counts[0] * counts[1] * counts[2] > MAX_VOXELS:
        size = " x ".join(f"{edge:g}" for edge in dict.fromkeys(edges))
        raise InputError(f"at {size} mm it would have {counts} voxels", "prepare at a larger spacing")
    return _centred(shape, spacing_mm, edges, (counts[0], counts[1], counts[2]))


def cube_grid(shape: Shape3, spacing_mm: Vector3, size: int) -> Grid:
    """Returns the grid of a cube of ``size`` voxels around an array: its longest side fills the cube.

    That is padding to a cube at isotropic spacing and resizing once, in one step.

    Raises:
        InputError: The array is thinner than one voxel of the cube.

    Example:
        >>> cube_grid((10, 10, 5), (1.0, 1.0, 4.0), 10).scale
        (2.0, 2.0, 0.5)
    """
    extents = [length * step for length, step in zip(shape, spacing_mm, strict=True)]
    voxel = max(extents) / size
    if min(extents) < voxel:
        raise InputError(
            f"it is {min(extents):.1f} mm thin, less than one voxel ({voxel:.1f} mm) of the cube",
            "use the protocol native, or a larger cube",
        )
    return _centred(shape, spacing_mm, (voxel,) * 3, (size, size, size))


def _centred(shape: Shape3, spacing_mm: Vector3, target_mm: Vector3, counts: Shape3) -> Grid:
    scale = [edge / step for edge, step in zip(target_mm, spacing_mm, strict=True)]
    offset = [(shape[axis] - counts[axis] * scale[axis]) / 2 + scale[axis] / 2 - 0.5 for axis in range(3)]
    return Grid(counts, (scale[0], scale[1], scale[2]), (offset[0], offset[1], offset[2]))


def interpolation_matrix(length: int, positions: NDArray[np.float64], width: float) -> NDArray[np.float32]:
    """Returns the weights of array voxels (columns) in the values at some positions (rows).

    The filter is a triangle: of width 1 it is linear interpolation, wider it is antialiased. Rows sum
    to 1; at positions outside the array's extent (-0.5 .. length - 0.5) they are 0.

    Args:
        length: Voxels of the array along the axis.
        positions: ``(n,)`` array indices, with fractions.
        width: Half the base of the triangle in array voxels, at least 1.

    Returns:
        ``(n, length)`` float32.

    Example:
        >>> interpolation_matrix(3, np.array([0.5, 2.0]), 1.0).tolist()
        [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    """
    inside = (positions >= -0.5 - 1e-6) & (positions <= length - 0.5 + 1e-6)
    weights = np.clip(1 - np.abs(np.arange(length) - positions[:, None]) / width, 0, None)
    total = weights.sum(axis=1, keepdims=True)
    return np.asarray(np.where(inside[:, None], weights / np.maximum(total, 1e-12), 0), dtype=np.float32)


@dataclass(frozen=True)
class _Band:
    """Some neighbouring rows of a matrix of weights, and the only columns in which they are not 0."""

    rows: slice
    columns: slice
    weights: NDArray[np.float32]


def _bands(weights: NDArray[np.float32]) -> list[_Band]:
    """Parts a matrix that is nearly diagonal into small full ones; most of its products would be by 0."""
    bands = []
    for first in range(0, len(weights), _BAND_ROWS):
        block = weights[first : first + _BAND_ROWS]
        used = np.flatnonzero(block.any(axis=0))
        if used.size:
            columns = slice(int(used[0]), int(used[-1]) + 1)
            rows = slice(first, first + len(block))
            bands.append(_Band(rows, columns, np.ascontiguousarray(block[:, columns])))
    return bands


def resample(
    array: NDArray[Any], grid: Grid, window: tuple[float, float] | None = None, *, antialias: bool = True
) -> NDArray[np.float32]:
    """Resamples an array to a grid; voxels outside the array are 0.

    Works through the array once, in the order in which it lies in memory, a few planes at a time.

    Args:
        array: ``(x, y, z)`` of any numeric type; any view of it costs the same.
        grid: Where to.
        window: Values that become 0 and 1; values beyond are clipped first. None: values stay as they are.
        antialias: Widen the filter along axes that become coarser; otherwise plain linear interpolation.

    Returns:
        ``grid.shape`` float32, in the memory order of ``array``.
    """
    weights = [
        interpolation_matrix(array.shape[axis], grid.positions(axis), max(1.0, grid.scale[axis]) if antialias else 1.0)
        for axis in range(3)
    ]
    for axis in range(3):
        if array.strides[axis] < 0:  # a flipped view: turning the weights instead is free
            array, weights[axis] = np.flip(array, axis), weights[axis][:, ::-1]
    order = sorted(range(3), key=lambda axis: -array.strides[axis])
    up, along, across = (weights[axis] for axis in order)
    middle = _narrowed(array.transpose(order), up, along, across, window)
    depth, rows, columns = middle.shape
    result = np.zeros((len(up), rows * columns), dtype=np.float32)
    flat = middle.reshape(depth, -1)
    for band in _bands(up):
        np.matmul(band.weights, flat[band.columns], out=result[band.rows])
    if window is not None:
        result *= np.float32(1 / (window[1] - window[0]))
    return result.reshape(-1, rows, columns).transpose(np.argsort(order))


def _narrowed(
    planes: NDArray[Any],
    up: NDArray[np.float32],
    along: NDArray[np.float32],
    across: NDArray[np.float32],
    window: tuple[float, float] | None,
) -> NDArray[np.float32]:
    """Clips the planes that have a weight in ``up`` and resamples their two axes; the others stay 0."""
    depth, rows, columns = planes.shape
    step = max(1, _SLAB_VOXELS // (rows * columns))
    first, second = _bands(along), _bands(across)
    middle = np.zeros((depth, len(along), len(across)), dtype=np.float32)
    slab = np.empty((step, rows, columns), dtype=np.float32)
    shorter = np.zeros((step, len(along), columns), dtype=np.float32)
    for start in range(0, depth, step):
        stop = min(start + step, depth)
        if not up[:, start:stop].any():
            continue
        values, halfway = slab[: stop - start], shorter[: stop - start]
        np.copyto(values, planes[start:stop], casting="unsafe")
        if window is not None:
            np.clip(values, np.float32(window[0]), np.float32(window[1]), out=values)
            values -= np.float32(window[0])
        for band in first:
            np.matmul(band.weights, values[:, band.columns], out=halfway[:, band.rows])
        for band in second:
            middle[start:stop, :, band.rows] = halfway[:, :, band.columns] @ band.weights.T
    return middle


def resample_labels(label: NDArray[np.uint16], grid: Grid) -> NDArray[np.uint16]:
    """Takes the label nearest to each voxel centre of a grid; voxels outside the map are 0.

    Args:
        label: ``(x, y, z)`` uint16.
        grid: Where to.

    Returns:
        ``grid.shape`` uint16.
    """
    indices, inside = [], []
    for axis in range(3):
        nearest = np.floor(grid.positions(axis) + 0.5).astype(np.int64)
        inside.append((nearest >= 0) & (nearest < label.shape[axis]))
        indices.append(np.clip(nearest, 0, label.shape[axis] - 1))
    result = np.ascontiguousarray(label[np.ix_(*indices)])
    for axis in range(3):
        np.moveaxis(result, axis, 0)[~inside[axis]] = 0
    return result
