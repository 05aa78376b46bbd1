"""Corruptions that a method learns to undo: pure functions of a numpy generator and of voxels in [0, 1].

Each takes ``(x, y, z)`` float32 and returns a new array; the arguments stay as they are. In-painting, out-painting,
local shuffling and the intensity curve are those of Models Genesis (Zhou et al. 2019, MICCAI; 2021, Medical Image
Analysis 67, 101840, sections 2.1 to 2.4).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Boxes that are painted over, at most, and their edges as shares of the volume's.
PAINTED_BOXES, PAINTED_EDGES = 5, (1 / 6, 1 / 3)
#: Edges of the boxes that out-painting leaves, as shares of the volume's.
KEPT_EDGES = (3 / 7, 4 / 7)
#: One shuffled window in so many voxels (the paper's 1000 windows in 64 x 64 x 32), of edges up to this share.
VOXELS_PER_WINDOW, WINDOW_EDGE = 131, 1 / 10
#: Points at which a Bezier curve is traced.
TRACED = 1000

Voxels = NDArray[np.float32]


def hide_blocks(rng: np.random.Generator, shape: Sequence[int], block: int, share: float) -> NDArray[np.bool_]:
    """Draws a mask of blocks, at least one and never all.

    Args:
        rng: Source of randomness.
        shape: Voxels along x, y, z.
        block: Edge of a block in voxels; blocks at the far end are cut off.
        share: Of the blocks that are hidden, in (0, 1).

    Returns:
        True for hidden voxels.

    Example:
        >>> hide_blocks(np.random.default_rng(0), (8, 8, 8), 4, 0.5).mean()
        np.float64(0.5)
    """
    grid = [-(-size // block) for size in shape]
    count = int(np.prod(grid))
    hidden = np.zeros(count, dtype=bool)
    hidden[rng.permutation(count)[: min(max(round(share * count), 1), max(count - 1, 1))]] = True
    mask = hidden.reshape(grid)
    for axis, size in enumerate(shape):
        mask = mask.repeat(block, axis=axis).take(np.arange(size), axis=axis)
    return mask


def in_paint(rng: np.random.Generator, volume: Voxels) -> Voxels:
    """Paints one to five boxes over with uniform noise; their edges are a sixth to a third of the volume's."""
    painted = volume.copy()
    for _ in range(rng.integers(1, PAINTED_BOXES + 1)):
        box = _draw_box(rng, volume.shape, PAINTED_EDGES)
        painted[box] = rng.random(painted[box].shape, dtype=np.float32)
    return painted


def out_paint(rng: np.random.Generator, volume: Voxels) -> Voxels:
    """Leaves one to five boxes, with edges of three to four sevenths of the volume's, and makes the rest noise."""
    painted = rng.random(volume.shape, dtype=np.float32)
    for _ in range(rng.integers(1, PAINTED_BOXES + 1)):
        box = _draw_box(rng, volume.shape, KEPT_EDGES)
        painted[box] = volume[box]
    return painted


def local_shuffle(rng: np.random.Generator, volume: Voxels) -> Voxels:
    """Shuffles the voxels inside many small windows: texture is lost, and the global picture stays."""
    shuffled = volume.copy()
    largest = [max(round(size * WINDOW_EDGE), 2) for size in volume.shape]
    windows = max(volume.size // VOXELS_PER_WINDOW, 1)
    edges = np.stack([rng.integers(1, most + 1, windows) for most in largest], axis=1)
    starts = rng.integers(0, np.array(volume.shape) - edges + 1)
    for (x, y, z), (u, v, w) in zip(starts.tolist(), edges.tolist(), strict=True):
        window = shuffled[x : x + u, y : y + v, z : z + w]
        window[...] = rng.permutation(window.ravel()).reshape(window.shape)
    return shuffled


def bezier_curve(rng: np.random.Generator) -> NDArray[np.float32]:
    """Draws a monotone curve of the 256 stored intensities to [0, 1]: a cubic Bezier curve, falling half of the times.

    Its ends are (0, 0) and (1, 1), or (0, 1) and (1, 0), and two inner points are drawn from the unit square. It can
    be undone only by knowing what tissue looks like.

    Returns:
        ``(256,)`` float32.
    """
    t = np.linspace(0, 1, TRACED)
    inner = rng.random((2, 2))
    weights = np.stack([3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t)], axis=1)
    x, y = (weights @ inner + t[:, None] ** 3).T
    curve = np.interp(np.linspace(0, 1, 256), x, y)
    return (1 - curve if rng.random() < 0.5 else curve).astype(np.float32)


def change_intensities(volume: Voxels, curve: NDArray[np.float32]) -> Voxels:
    """Looks intensities in [0, 1] up on a curve of 256 points, linearly between them."""
    return np.interp(volume, np.linspace(0, 1, len(curve)), curve).astype(np.float32)


def _draw_box(rng: np.random.Generator, shape: Sequence[int], shares: tuple[float, float]) -> tuple[slice, ...]:
    """A box inside the volume, its edges drawn between two shares of the volume's."""
    box = []
    for size in shape:
        low = max(int(size * shares[0]), 1)
        edge = int(rng.integers(low, max(int(size * shares[1]), low) + 1))
        start = int(rng.integers(0, size - edge + 1))
        box.append(slice(start, start + edge))
    return tuple(box)
