"""What a step of nnU-Net's recipe sees: crops, a third of them around foreground, under nnU-Net's augmentation."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..training.intensity_augmentation import change_intensities, draw_intensity_plan
from ..training.seeding import step_generator
from ..training.spatial_augmentation import draw_placement, placed_crop
from ..types import Shape3
from .config import FinetuneConfig
from .labelled_volume import LabelledVolume


def draw_nnunet_crops(
    volumes: list[LabelledVolume], config: FinetuneConfig, step: int
) -> tuple[Float[Tensor, "b 1 s s s"], Int[Tensor, "b s s s"]]:
    """Draws a step's crops and class indices; the same (seed, step) gives the same crops.

    The last ``foreground_share`` of a batch, rounded (one of two at .33), is centred on a voxel of a drawn class, as
    far as the volume reaches; the others lie anywhere.
    """
    rng = step_generator(config.seed, step, "nnunet")
    anywhere = round(config.batch_size * (1 - config.foreground_share))
    images, labels = [], []
    for number in range(config.batch_size):
        volume = volumes[rng.integers(len(volumes))]
        origin = _draw_origin(rng, volume, config.patch_size, around_foreground=number >= anywhere)
        placement = draw_placement(rng)
        placed = partial(
            placed_crop, origin=origin, size=config.patch_size, placement=placement, spacing_mm=volume.case.spacing_mm
        )
        image = placed(volume.voxels, linear=True).astype(np.float32) / 255
        images.append(change_intensities(image, draw_intensity_plan(rng), rng))
        labels.append(placed(volume.classes, linear=False).astype(np.int64))
    return torch.from_numpy(np.stack(images))[:, None], torch.from_numpy(np.stack(labels))


def _draw_origin(rng: np.random.Generator, volume: LabelledVolume, size: int, *, around_foreground: bool) -> Shape3:
    shape = np.array(volume.case.shape)
    low = np.minimum(0, (shape - size) // 2)
    high = np.maximum(low, shape - size)
    origin = rng.integers(low, high + 1)
    if around_foreground and volume.places:
        place = volume.places[rng.integers(len(volume.places))]
        voxel = volume.voxel_of(place, int(rng.integers(place.count)))
        origin = np.clip(voxel - size // 2, low, high)
    x, y, z = (int(value) for value in origin)
    return x, y, z
