"""From a prepared volume back to the grid of its file."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..records import Case
from .orientation import canonical_affine, canonical_shape, to_source
from .resampling import interpolation_matrix

#: Edge of the blocks of prepared voxels that are worked on one after another.
_BLOCK = 16


@dataclass(frozen=True)
class _Span:
    """A stretch of an axis: which voxels of the file lie in it, and their weights on the prepared voxels."""

    file: slice
    prepared: slice
    weights: NDArray[np.float32]


def labels_on_source_grid(case: Case, scores: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Interpolates class scores linearly to the file's own grid and takes the best class of each voxel.

    It goes block by block, so that the scores are never in memory at the file's resolution, and
    interpolates only the classes that can win in a block: an interpolated score lies between the
    least and the greatest score around it. Outside the prepared volume the nearest score counts.

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
    file_affine = canonical_affine(case.source_affine, case.source_shape)
    step = np.linalg.inv(np.array(case.affine, dtype=np.float64)) @ file_affine  # file index to prepared index
    spans = [_spans(shape[axis], case.shape[axis], step[axis, axis], step[axis, 3]) for axis in range(3)]
    result = np.empty(shape, dtype=np.uint8, order="F")
    for x, y, z in itertools.product(*spans):
        block = scores[:, x.prepared, y.prepared, z.prepared]
        result[x.file, y.file, z.file] = _best_class(block, x.weights, y.weights, z.weights)
    return to_source(result, case.source_affine)


def _spans(file_length: int, length: int, step: float, start: float) -> list[_Span]:
    positions = np.clip(start + step * np.arange(file_length), 0, length - 1)
    below = np.minimum(positions.astype(np.int64), max(0, length - 2))
    spans = []
    for first in range(0, length, _BLOCK):
        inside = np.flatnonzero(below // _BLOCK == first // _BLOCK)
        if len(inside):
            file = slice(int(inside[0]), int(inside[-1]) + 1)  # positions only grow along an axis
            prepared = slice(first, min(first + _BLOCK + 1, length))
            weights = interpolation_matrix(prepared.stop - first, positions[file] - first, 1.0)
            spans.append(_Span(file, prepared, weights))
    return spans


def _best_class(
    block: NDArray[np.float32], across: NDArray[np.float32], along: NDArray[np.float32], up: NDArray[np.float32]
) -> NDArray[np.uint8] | np.uint8:
    least, greatest = block.min(axis=(1, 2, 3)), block.max(axis=(1, 2, 3))
    candidates = np.flatnonzero(greatest >= least.max())
    if len(candidates) == 1:
        return np.uint8(candidates[0])
    label = np.full((len(across), len(along), len(up)), candidates[0], dtype=np.uint8)
    best = np.full(label.shape, -np.inf, dtype=np.float32)
    for number in candidates:
        taller = along @ (block[number] @ up.T)  # (x, file y, file z)
        score = (across @ taller.reshape(len(taller), -1)).reshape(label.shape)
        np.copyto(label, np.uint8(number), where=score > best)
        np.maximum(best, score, out=best)
    return label
