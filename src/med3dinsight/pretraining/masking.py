"""Random block masks, drawn by the step's generator and grown to voxels where they are used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from ..errors import ConfigError
from .config import PretrainConfig


def draw_masks(rng: np.random.Generator, config: PretrainConfig, shape: Sequence[int]) -> Bool[Tensor, "b p q r"]:
    """Masks the same share of blocks of every volume.

    Args:
        rng: Source of randomness.
        config: Resolved settings: ``mask_ratio`` and ``mask_block``.
        shape: ``(b, c, x, y, z)`` of the volumes.

    Returns:
        True for masked blocks of ``mask_block`` voxels; blocks at the far end may reach beyond the volume.
    """
    block, ratio = _choices(config)
    grid = [-(-size // block) for size in shape[2:]]
    count = int(np.prod(grid))
    if count < 2:
        raise ConfigError(
            f"a volume of {shape[2]} voxels has {count} block of pretrain.mask_block = {block} to mask",
            "lower pretrain.mask_block, or pre-train on larger crops",
        )
    masked = min(max(round(ratio * count), 1), count - 1)
    masks = np.zeros((shape[0], count), dtype=bool)
    for row in masks:
        row[rng.permutation(count)[:masked]] = True
    return torch.from_numpy(masks).unflatten(1, grid)


def grow(masks: Bool[Tensor, "b p q r"], block: int, size: Sequence[int]) -> Bool[Tensor, "b 1 x y z"]:
    """Turns block masks into voxel masks of a volume's size."""
    grown = masks
    for axis in (1, 2, 3):
        grown = grown.repeat_interleave(block, dim=axis).narrow(axis, 0, size[axis - 1])
    return grown.unsqueeze(1)


def _choices(config: PretrainConfig) -> tuple[int, float]:
    assert config.mask_block is not None and config.mask_ratio is not None  # resolved settings have them
    return config.mask_block, config.mask_ratio
