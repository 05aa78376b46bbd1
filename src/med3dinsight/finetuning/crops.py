"""What a fine-tuning step sees: foreground-balanced crops, or whole cubes, with a random contrast curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from ..training.augmentation import contrast_curve
from ..training.seeding import step_generator
from ..types import Shape3, Vector3
from ..workspace.voxel_store import cut
from .config import FinetuneConfig


@dataclass(frozen=True)
class LabelledVolume:
    """One training case in memory.

    Attributes:
        voxels: ``(x, y, z)`` uint8.
        label: ``(x, y, z)`` uint8 class indices.
        places: For every foreground class that is there, the flat indices of its voxels.
        spacing_mm: Voxel size along x, y, z.
    """

    voxels: NDArray[np.uint8]
    label: NDArray[np.uint8]
    places: tuple[NDArray[np.int64], ...]
    spacing_mm: Vector3 = (1.0, 1.0, 1.0)


def labelled_volume(
    voxels: NDArray[np.uint8], label: NDArray[np.uint8], num_classes: int, spacing_mm: Vector3 = (1.0, 1.0, 1.0)
) -> LabelledVolume:
    """Indexes where each foreground class lies."""
    places = [np.flatnonzero(label == index) for index in range(1, num_classes)]
    return LabelledVolume(voxels, label, tuple(place for place in places if len(place)), spacing_mm)


def draw_crops(
    volumes: list[LabelledVolume], config: FinetuneConfig, step: int
) -> tuple[Float[Tensor, "b 1 s s s"], Int[Tensor, "b s s s"]]:
    """Draws a step's crops and class indices; the same (seed, step) gives the same crops."""
    rng = step_generator(config.seed, step, "crops")
    images, labels = [], []
    for _ in range(config.batch_size):
        volume = volumes[rng.integers(len(volumes))]
        origin = _draw_origin(rng, volume, config)
        size = (config.patch_size,) * 3
        curve = contrast_curve(rng, config.contrast_augmentation)
        images.append(curve[cut(volume.voxels, origin, size)])
        labels.append(cut(volume.label, origin, size).astype(np.int64))
    return torch.from_numpy(np.stack(images))[:, None], torch.from_numpy(np.stack(labels))


def _draw_origin(rng: np.random.Generator, volume: LabelledVolume, config: FinetuneConfig) -> Shape3:
    shape = np.array(volume.voxels.shape)
    low = np.minimum(0, (shape - config.patch_size) // 2)
    high = np.maximum(low, shape - config.patch_size)
    if volume.places and rng.random() < config.foreground_share:
        place = volume.places[rng.integers(len(volume.places))]
        centre = np.array(np.unravel_index(place[rng.integers(len(place))], volume.voxels.shape))
        jitter = rng.integers(-config.patch_size // 4, config.patch_size // 4 + 1, 3)
        origin = np.clip(centre + jitter - config.patch_size // 2, low, high)
    else:
        origin = rng.integers(low, high + 1)
    x, y, z = (int(value) for value in origin)
    return x, y, z
