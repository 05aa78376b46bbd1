"""Joins the slice table, the targets and the voxels into the pool that batches are drawn from."""

from __future__ import annotations

import numpy as np
import torch

from ..records import SliceRef
from ..slices.sampling import plan_slices
from ..towers.targets import load_targets
from ..workspace import Workspace
from ..workspace.caption_store import CaptionStore
from ..workspace.voxel_store import VoxelStore
from .config import PretrainConfig
from .pool import Pool, build_pool

#: Positions a plane of a planned crop, where nobody has captioned slices; they only tell empty crops.
PLANNED_POSITIONS = 8


def load_pool(config: PretrainConfig, workspace: Workspace, store: VoxelStore, features: bool) -> Pool:
    """Builds the pool of crops of a run, with the targets of their slices where the method matches any.

    Methods without 2D features draw the crops of the slice table too, so that all methods see the same data; without
    captions they plan crops of their own.

    Raises:
        InputError: No slice of the people who may be seen shows anything.
        WorkspaceError: ``embed`` has not run.
    """
    away = frozenset(config.held_out)
    if not features:
        return build_pool(store, _crops(config, workspace, store), None, None, away)
    with CaptionStore(workspace.captions) as ledger:
        slices = ledger.slices()
    images, texts = load_targets(workspace, config.towers, config.captioner)
    # Only what may be seen is shuffled: a held-out person's features must not get in by another's slices.
    rows = [row for row, ref in enumerate(slices) if store.cases[ref.crop.case].subject not in away]
    if config.shuffled_pairs:
        order = torch.from_numpy(derangement(len(rows), config.seed))
        seen = torch.tensor(rows)
        images[seen], texts[seen] = images[seen[order]], texts[seen[order]]
    if config.wrong_texts:
        wrong = torch.tensor(rows)[torch.from_numpy(drawn_share(len(rows), config.wrong_texts, config.seed))]
        texts[wrong] = texts[wrong[torch.from_numpy(derangement(len(wrong), config.seed))]]
    return build_pool(store, slices, images, texts, away)


def _crops(config: PretrainConfig, workspace: Workspace, store: VoxelStore) -> list[SliceRef]:
    if (workspace.captions / "ledger.sqlite").exists():
        with CaptionStore(workspace.captions) as ledger:
            if slices := ledger.slices():
                return slices
    shapes = {case.shape for case in store.cases.values()}
    whole = len(shapes) == 1 and len(set(next(iter(shapes)))) == 1
    size = next(iter(shapes))[0] if whole else config.crop_size
    return plan_slices(
        store.cases.values(),
        whole=whole,
        crop_size=config.crop_size,
        crops_per_volume=config.crops_per_volume,
        positions_per_plane=min(PLANNED_POSITIONS, size),
        seed=config.seed,
    )


def drawn_share(size: int, share: float, seed: int) -> np.ndarray:
    """Draws a share of rows, two at least, so that they can change places.

    Example:
        >>> len(drawn_share(100, 0.3, 0))
        30
    """
    count = min(max(round(size * share), 2), size)
    return np.sort(np.random.default_rng([seed, 0x57]).permutation(size)[:count])


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
