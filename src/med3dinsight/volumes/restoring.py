"""From a prepared volume back to the grid of its file."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..records import Case
from .orientation import canonical_affine, canonical_shape, to_source
from .resampling import interpolation_matrix


def labels_on_source_grid(case: Case, scores: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Interpolates class scores linearly to the file's own grid and takes the best class of each voxel.

    The scores are interpolated and compared plane by plane, so that never more than two planes of
    them are in memory at the file's resolution. Outside the prepared volume the nearest score counts.

    Args:
        case: The prepared case.
        scores: ``(classes, x, y, z)`` float32 on the prepared grid, greater is likelier; at most 256 classes.

    Returns:
        ``case.source_shape`` uint8, the class of each voxel of the file in the file's own axis order;
        ties go to the lower class.

    Raises:
        InputError: The scores have another shape than the case.
    """
    if scores.shape[1:] != tuple(case.shape) or len(scores) > 256:
        raise InputError(f"scores of shape {scores.shape} for a case of {case.shape} voxels", "predict this case again")
    shape = canonical_shape(case.source_affine, case.source_shape)
    positions = _positions(case.affine, canonical_affine(case.source_affine, case.source_shape), shape)
    across, along = (
        interpolation_matrix(case.shape[axis], np.clip(positions[axis], 0, case.shape[axis] - 1), 1.0)
        for axis in (0, 1)
    )
    depth = np.clip(positions[2], 0, case.shape[2] - 1)
    result = np.empty(shape, dtype=np.uint8, order="F")
    below = np.minimum(depth.astype(np.int64), max(0, case.shape[2] - 2))
    above = np.minimum(below + 1, case.shape[2] - 1)
    stacked = np.ascontiguousarray(scores.transpose(3, 0, 1, 2))  # z first: planes lie together
    for plane in range(shape[2]):
        share = np.float32(depth[plane] - below[plane])
        mixed = stacked[below[plane]] * (1 - share) + stacked[above[plane]] * share
        wide = np.matmul(across, mixed @ along.T)
        result[:, :, plane] = wide.argmax(axis=0)
    return to_source(result, case.source_affine)


def _positions(
    prepared: ArrayLike, source: NDArray[np.float64], shape: tuple[int, int, int]
) -> list[NDArray[np.float64]]:
    """Returns for each axis the prepared index at which each voxel of the file lies."""
    step = np.linalg.inv(np.asarray(prepared, dtype=np.float64)) @ source
    return [step[axis, axis] * np.arange(shape[axis]) + step[axis, 3] for axis in range(3)]
