"""Whole cases: loading them with their classes, predicting and validating them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..metrics.overlap import dice_scores
from ..records import Case
from ..volumes.labels import class_map
from ..volumes.nifti import write_nifti
from ..volumes.restoring import labels_on_source_grid
from ..workspace.voxel_store import VoxelStore
from .config import FinetuneConfig
from .crops import LabelledVolume, labelled_volume
from .inference import predict_scores
from .people import class_entries


def class_indices(store: VoxelStore, case: Case, config: FinetuneConfig) -> NDArray[np.uint8]:
    """Returns a case's label map as class indices, ``(x, y, z)`` uint8.

    Raises:
        InputError: The label map has no names, and the classes list no values.
    """
    label = store.label(case.id)
    return class_map(case.label_names, class_entries(config), [int(label.max())])[label]


def load_training_volumes(store: VoxelStore, cases: Iterable[Case], config: FinetuneConfig) -> list[LabelledVolume]:
    """Reads training cases into memory."""
    return [
        labelled_volume(np.array(store.volume(case.id)), class_indices(store, case, config), len(config.classes) + 1)
        for case in cases
    ]


def predict_cases(
    network: nn.Module,
    store: VoxelStore,
    cases: list[Case],
    config: FinetuneConfig,
    folder: Path,
    device: torch.device,
    told: Callable[[int], None],
) -> None:
    """Writes ``predictions/CASE.nii.gz``: class indices on the grid of the source file."""
    for number, case in enumerate(cases, start=1):
        scores = predict_scores(network, store.volume(case.id), config.patch_size, config.overlap, device)
        path = folder / "predictions" / f"{case.id}.nii.gz"
        write_nifti(path, labels_on_source_grid(case, scores), np.array(case.source_affine))
        told(number)


def validate(
    network: nn.Module, store: VoxelStore, cases: list[Case], config: FinetuneConfig, device: torch.device
) -> dict[str, float | None] | None:
    """Mean Dice of each class over the validation cases, on the prepared grid; None without cases."""
    if not cases:
        return None
    rows: list[dict[int, float | None]] = []
    for case in cases:
        scores = predict_scores(network, store.volume(case.id), config.patch_size, config.overlap, device)
        predicted = scores.argmax(0).astype(np.uint8)
        rows.append(dice_scores(predicted, class_indices(store, case, config), range(1, len(config.classes) + 1)))
    return {name: _mean(row[index] for row in rows) for index, name in enumerate(config.classes, start=1)}


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
