"""What a fine-tuning step sees: foreground-balanced crops, or whole cubes, with a random contrast curve."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..training.augmentation import contrast_curve
from ..training.seeding import step_generator
from ..types import Shape3
from .config import FinetuneConfig
from .labelled_volume import LabelledVolume


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
        images.append(curve[volume.voxels(origin, size)])
        labels.append(volume.classes(origin, size).astype(np.int64))
    return torch.from_numpy(np.stack(images))[:, None], torch.from_numpy(np.stack(labels))


def _draw_origin(rng: np.random.Generator, volume: LabelledVolume, config: FinetuneConfig) -> Shape3:
    shape = np.array(volume.case.shape)
    low = np.minimum(0, (shape - config.patch_size) // 2)
    high = np.maximum(low, shape - config.patch_size)
    if volume.places and rng.random() < config.foreground_share:
        place = volume.places[rng.integers(len(volume.places))]
        centre = volume.voxel_of(place, int(rng.integers(place.count)))
        jitter = rng.integers(-config.patch_size // 4, config.patch_size // 4 + 1, 3)
        origin = np.clip(centre + jitter - config.patch_size // 2, low, high)
    else:
        origin = rng.integers(low, high + 1)
    x, y, z = (int(value) for value in origin)
    return x, y, z
