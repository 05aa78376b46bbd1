"""Joins the slice table, the targets and the voxels into the pool that batches are drawn from."""

from __future__ import annotations

import numpy as np
import torch

from ..towers.targets import load_targets
from ..workspace import Workspace
from ..workspace.caption_store import CaptionStore
from ..workspace.voxel_store import VoxelStore
from .batches import Pool, build_pool
from .config import PretrainConfig


def load_pool(config: PretrainConfig, workspace: Workspace, store: VoxelStore) -> Pool:
    """Builds the pool of crops and targets of a run."""
    with CaptionStore(workspace.captions) as ledger:
        slices = ledger.slices()
    images, texts = load_targets(workspace, config.towers, config.captioner)
    if config.shuffled_pairs:
        order = torch.from_numpy(derangement(len(slices), config.seed))
        images, texts = images[order], texts[order]
    return build_pool(store, slices, images, texts, frozenset(config.held_out))


def derangement(size: int, seed: int) -> np.ndarray:
    """Returns a seeded permutation without fixed points: a random cycle through all rows.

    Example:
        >>> bool((derangement(5, 0) != np.arange(5)).all())
        True
    """
    cycle = np.random.default_rng([seed, 0x5F]).permutation(size)
    result = np.empty(size, dtype=np.int64)
    result[cycle] = np.roll(cycle, 1)
    return result
