"""What a step sees: crops, the (plane, position) pairs asked of them, and the 2D features that lie there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import InputError
from ..records import Crop, SliceRef
from ..slices.emptiness import is_empty
from ..training.augmentation import contrast_curve
from ..training.seeding import step_generator
from ..workspace.voxel_store import VoxelStore
from .config import PretrainConfig


@dataclass(frozen=True)
class Batch:
    """One step's input.

    Attributes:
        volumes: ``(b, 1, s, s, s)`` in [0, 1].
        planes: ``(b, k)`` 0 axial, 1 coronal, 2 sagittal.
        positions: ``(b, k)`` relative to the crop, 0..1.
        images: ``(b * k, e)`` projected image features.
        texts: ``(b * k, f)`` projected text features.
    """

    volumes: Float[Tensor, "b 1 s s s"]
    planes: Int[Tensor, "b k"]
    positions: Float[Tensor, "b k"]
    images: Float[Tensor, "m e"]
    texts: Float[Tensor, "m f"]


@dataclass(frozen=True)
class Pool:
    """All crops that pre-training may draw, by subject, with the rows of their slices.

    Attributes:
        store: Voxels.
        slices: The slice table; a row number is the index in the feature arrays.
        rows: ``{subject: {crop: row numbers of its slices}}``.
        images: ``(rows, e)`` projected image features.
        texts: ``(rows, f)`` projected text features.
    """

    store: VoxelStore
    slices: list[SliceRef]
    rows: dict[str, dict[Crop, list[int]]]
    images: Float[Tensor, "n e"]
    texts: Float[Tensor, "n f"]

    @cached_property
    def subjects(self) -> list[str]:
        """Subjects in a fixed order."""
        return sorted(self.rows)


def build_pool(
    store: VoxelStore,
    slices: list[SliceRef],
    images: Float[Tensor, "n e"],
    texts: Float[Tensor, "n f"],
    held_out: frozenset[str],
) -> Pool:
    """Groups the slices of the training subjects by crop, without empty slices and subjects held out.

    Raises:
        InputError: No slice shows anything.
    """
    by_crop: dict[Crop, list[int]] = defaultdict(list)
    for row, ref in enumerate(slices):
        if store.cases[ref.crop.case].subject not in held_out:
            by_crop[ref.crop].append(row)
    rows: dict[str, dict[Crop, list[int]]] = defaultdict(dict)
    for crop, members in by_crop.items():
        voxels = store.crop(crop)
        seen = [row for row in members if not is_empty(voxels, slices[row])]
        if seen:
            rows[store.cases[crop.case].subject][crop] = seen
    if not rows:
        raise InputError("every slice of the training people is empty", "look at the prepared volumes and their window")
    return Pool(store, slices, dict(rows), images, texts)


def draw_batch(pool: Pool, config: PretrainConfig, slices_per_volume: int, step: int) -> Batch:
    """Draws a step's input; the same (seed, step) gives the same batch.

    Subjects take turns in a random order, so that people with many crops do not crowd out the others.
    """
    rng = step_generator(config.seed, step, "batch")
    subjects: list[str] = []
    while len(subjects) < config.batch_volumes:
        subjects += [pool.subjects[i] for i in rng.permutation(len(pool.subjects))]
    volumes, planes, positions, rows = [], [], [], []
    for subject in subjects[: config.batch_volumes]:
        crops = list(pool.rows[subject])
        crop = crops[rng.integers(len(crops))]
        candidates = pool.rows[subject][crop]
        chosen = rng.choice(candidates, slices_per_volume, replace=len(candidates) < slices_per_volume)
        shift = rng.integers(-config.shift_voxels, config.shift_voxels + 1, 3)
        origin = tuple(int(o + s) for o, s in zip(crop.origin, shift, strict=True))
        voxels = pool.store.crop(Crop(crop.case, (origin[0], origin[1], origin[2]), crop.size))
        volumes.append(contrast_curve(rng, config.contrast_augmentation)[voxels])
        refs = [pool.slices[row] for row in chosen]
        planes.append([int(ref.plane) for ref in refs])
        positions.append([ref.relative_position - float(shift[ref.plane.axis]) / crop.size for ref in refs])
        rows += [int(row) for row in chosen]
    return Batch(
        torch.from_numpy(np.stack(volumes))[:, None],
        torch.tensor(planes),
        torch.tensor(positions, dtype=torch.float32),
        pool.images[rows],
        pool.texts[rows],
    )
