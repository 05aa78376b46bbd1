"""Loads what pre-training matches: projected 2D features of every slice, and the pool of crops."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..towers.projection import load_projections
from ..workspace import Workspace, feature_store
from ..workspace.caption_store import CaptionStore
from ..workspace.voxel_store import VoxelStore
from .batches import Pool, build_pool
from .config import PretrainConfig


def load_targets(
    workspace: Workspace, towers: str, captioner: str
) -> tuple[Float[Tensor, "n e"], Float[Tensor, "n e"]]:
    """Returns the projected, L2-normalised image and text features of all slices of the slice table."""
    folder = workspace.features / towers
    image, text = load_projections(folder / captioner / "projection.safetensors")
    images = image(feature_store.read(folder / "image.npy"))
    texts = text(feature_store.read(folder / captioner / "text.npy"))
    return images, texts


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
