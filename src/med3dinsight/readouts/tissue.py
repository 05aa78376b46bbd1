"""Frozen features of labelled voxels: what a probe of tissue classes learns from and is tested on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import nn

from ..records import Case
from ..volumes.labels import class_map
from ..workspace.voxel_store import VoxelStore
from .probe import voxel_features


@dataclass(frozen=True)
class Draw:
    """Which voxels are looked at.

    Attributes:
        classes: ``{"name", "match"}`` of each class, as ``volumes.labels`` takes them.
        voxels_per_class: Most voxels drawn a class and case.
        seed: Of the draw.
    """

    classes: tuple[dict[str, Any], ...]
    voxels_per_class: int
    seed: int


def draw_voxels(
    label: NDArray[np.uint8], num_classes: int, count: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draws up to ``count`` voxels of each foreground class.

    Args:
        label: ``(x, y, z)`` class indices.
        num_classes: Classes with background.
        count: Voxels a class.
        rng: Source of randomness.

    Returns:
        Voxel indices ``(n, 3)`` and their classes ``(n,)``.
    """
    places, classes = [], []
    for index in range(1, num_classes):
        flat = np.flatnonzero(label == index)
        chosen = rng.choice(flat, min(count, len(flat)), replace=False)
        places.append(np.stack(np.unravel_index(chosen, label.shape), axis=1))
        classes.append(np.full(len(chosen), index))
    return np.concatenate(places), np.concatenate(classes)


def tissue_features(
    encoder: nn.Module, store: VoxelStore, cases: Iterable[Case], draw: Draw, size: int, device: torch.device
) -> tuple[Float[np.ndarray, "n c"], Int[np.ndarray, " n"]]:
    """Returns an encoder's features of voxels drawn from labelled cases, and the voxels' classes.

    Args:
        encoder: Frozen, on the device.
        store: Voxels and label maps.
        cases: Labelled for every class.
        draw: Which voxels.
        size: Edge of the crops that are encoded.
        device: Where the encoder is.
    """
    features: list[NDArray[np.float32]] = []
    classes: list[NDArray[np.int64]] = []
    for case in cases:
        rng = np.random.default_rng([draw.seed, *case.id.encode()])
        stored = store.label(case.id)
        label = class_map(case.label_names, list(draw.classes), [int(stored.max())])[stored]
        places, drawn = draw_voxels(label, len(draw.classes) + 1, draw.voxels_per_class, rng)
        if len(places):
            features.append(voxel_features(encoder, store.volume(case.id), places, size, device))
            classes.append(drawn)
    if not features:
        return np.zeros((0, 0), dtype=np.float32), np.zeros(0, dtype=np.int64)
    return np.concatenate(features), np.concatenate(classes)
