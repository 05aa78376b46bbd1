"""What steps see of crops: one plain look at each, or several views that differ as scans of one place may.

A view is the crop moved a little inside its volume, under another contrast curve, sometimes with noise, a blur, and
a box cut out. Nothing is mirrored: prepared volumes have their axes in the body's directions, and a mirrored person
has the liver on the left. Nothing is zoomed: a voxel is a size in millimetres, and organs are told by it. Departs in
both from the views of SimCLR and of those after it, whose photographs have neither.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from ..records import Crop
from ..training.augmentation import contrast_curve
from ..training.seeding import step_generator
from .config import PretrainConfig
from .pool import Pool

#: Largest shift of a view as a share of the crop's edge; an axis without room inside the volume has half of it.
SHIFT = 0.25
#: Each of noise, blur and cut-out happens to a view with this probability.
CHANCE = 0.5
#: Largest deviation of the noise, widths of the blur in voxels, and edges of the box as shares of the crop's.
NOISE, BLUR, CUT_OUT = 0.1, (0.5, 1.0), (0.2, 0.4)


def plain_look(rng: np.random.Generator, config: PretrainConfig, pool: Pool, crop: Crop) -> NDArray[np.float32]:
    """Reads a crop as every method does: shifted by ``shift_voxels``, under a contrast curve.

    Returns:
        ``(x, y, z)`` in [0, 1].
    """
    look = np.empty((crop.size,) * 3, dtype=np.float32)
    _plain(rng, config, pool, crop, look)
    return look


def plain_looks(
    rng: np.random.Generator, config: PretrainConfig, pool: Pool, crops: Sequence[Crop]
) -> tuple[Float[Tensor, "b 1 x y z"], list[NDArray[np.int64]]]:
    """Reads the crops of a step as :func:`plain_look` does, into memory that is used again.

    Returns:
        The volumes in [0, 1], and by how many voxels each was shifted.
    """
    volumes = pool.memory.array((len(crops), 1, *(crops[0].size,) * 3))
    shifts = [_plain(rng, config, pool, crop, look[0]) for crop, look in zip(crops, volumes, strict=True)]
    return torch.from_numpy(volumes), shifts


def _plain(
    rng: np.random.Generator, config: PretrainConfig, pool: Pool, crop: Crop, look: NDArray[np.float32]
) -> NDArray[np.int64]:
    shift = rng.integers(-config.shift_voxels, config.shift_voxels + 1, 3)
    strength = config.contrast_augmentation or 0.0
    curve = contrast_curve(rng, strength)
    voxels = pool.voxels(crop, shift)
    if strength == 0:
        np.divide(voxels, np.float32(255), out=look, dtype=np.float32)
    else:
        np.take(curve, voxels, out=look, mode="clip")
    return shift


def draw_view(rng: np.random.Generator, config: PretrainConfig, pool: Pool, crop: Crop) -> NDArray[np.float32]:
    """Draws one view of a crop.

    Returns:
        ``(x, y, z)`` in [0, 1].
    """
    shift = draw_shift(rng, pool.store.cases[crop.case].shape, crop)
    view = contrast_curve(rng, config.contrast_augmentation or 0.0)[pool.voxels(crop, shift)]
    return change_look(rng, view)


def draw_two_views(config: PretrainConfig, pool: Pool, step: int) -> Float[Tensor, "b 2 1 x y z"]:
    """Draws the crops of a step and two views of each; the same (seed, step) gives the same."""
    rng = step_generator(config.seed, step, "batch")
    crops = pool.draw_crops(rng, config.recipe.batch_volumes)
    return stack_views([[draw_view(rng, config, pool, crop) for _ in range(2)] for crop in crops])


def draw_shift(rng: np.random.Generator, shape: tuple[int, int, int], crop: Crop) -> NDArray[np.int64]:
    """Draws a shift of a crop inside its volume; where there is no room along an axis, a little beyond its ends."""
    most = int(crop.size * SHIFT)
    shift = []
    for length, origin in zip(shape, crop.origin, strict=True):
        low, high = min(-origin, 0), max(length - crop.size - origin, 0)
        if low == high == 0:
            low, high = -(most // 2), most // 2
        shift.append(int(rng.integers(max(low, -most), min(high, most) + 1)))
    return np.array(shift)


def change_look(rng: np.random.Generator, view: NDArray[np.float32]) -> NDArray[np.float32]:
    """Adds noise, blurs, and cuts a box out, each or not."""
    noisy, blurred, cut = rng.random(3) < CHANCE
    if blurred:
        view = gaussian_filter(view, rng.uniform(*BLUR))
    if noisy:
        level = np.float32(rng.uniform(0, NOISE))
        view = np.clip(view + level * rng.standard_normal(view.shape, dtype=np.float32), 0, 1)
    if cut:
        view = view.copy()
        edges = [max(int(size * rng.uniform(*CUT_OUT)), 1) for size in view.shape]
        starts = [int(rng.integers(0, size - edge + 1)) for size, edge in zip(view.shape, edges, strict=True)]
        view[tuple(slice(start, start + edge) for start, edge in zip(starts, edges, strict=True))] = 0
    return view


def stack_looks(looks: list[NDArray[np.float32]]) -> Float[Tensor, "b 1 x y z"]:
    """Stacks volumes into a batch of one channel."""
    return torch.from_numpy(np.stack(looks))[:, None]


def stack_views(views: list[list[NDArray[np.float32]]]) -> Float[Tensor, "b v 1 x y z"]:
    """Stacks the views of each volume."""
    return torch.stack([stack_looks(row) for row in views])
