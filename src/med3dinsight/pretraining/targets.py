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
    """Builds the pool of crops and targets of a run.

    Raises:
        InputError: No slice of the people who may be seen shows anything.
        WorkspaceError: ``embed`` has not run.
    """
    with CaptionStore(workspace.captions) as ledger:
        slices = ledger.slices()
    images, texts = load_targets(workspace, config.towers, config.captioner)
    if config.shuffled_pairs:
        # Only what may be seen is shuffled: a held-out person's features must not get in by another's slices.
        seen = [row for row, ref in enumerate(slices) if store.cases[ref.crop.case].subject not in config.held_out]
        rows = torch.tensor(seen)
        order = rows[torch.from_numpy(derangement(len(seen), config.seed))]
        images[rows], texts[rows] = images[order], texts[order]
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
