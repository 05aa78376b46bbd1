"""Segmentation as a fine-tuning task: crops and label maps."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..losses.nnunet import deep_supervision_loss
from ..losses.segmentation import segmentation_loss
from ..metrics.overlap import dice_scores
from ..records import Case
from ..volumes.labels import class_map
from ..volumes.nifti import write_nifti
from ..volumes.restoring import labels_on_source_grid
from ..workspace.voxel_store import VoxelStore
from .config import FinetuneConfig
from .crops import draw_crops
from .inference import predict_scores
from .labelled_volume import labelled_volume
from .nnunet_crops import draw_nnunet_crops
from .people import People, class_entries
from .task import Scores


class SegmentationTask:
    """Crops of the training cases; predictions of whole test cases by sliding windows.

    Crops are read from the store as they are drawn, and validation and test cases one after another.

    Args:
        config: Settings; ``patch_size`` is the cube's edge where cubes are taken whole.
        store: Prepared volumes.
        people: Who trains, validates and is tested.
        folder: The run's folder; test predictions go to ``predictions/CASE.nii.gz``.
        device: Where the network is.

    Raises:
        InputError: A training label map has no names, and the classes list no values.
    """

    def __init__(
        self, config: FinetuneConfig, store: VoxelStore, people: People, folder: Path, device: torch.device
    ) -> None:
        self.config, self.store, self.people, self.folder, self.device = config, store, people, folder, device
        self.num_classes = len(config.classes) + 1
        self.volumes = [labelled_volume(store, case, class_entries(config)) for case in people.train]

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Draws a step's crops ``(b, 1, s, s, s)`` and their class indices ``(b, s, s, s)``."""
        draw = draw_nnunet_crops if self.config.recipe == "nnunet" else draw_crops
        return draw(self.volumes, self.config, step)

    def loss(self, output: Tensor | list[Tensor], target: Tensor) -> Tensor:
        """Mean of cross-entropy and Dice; by nnU-Net's recipe their sum, at all resolutions that are given."""
        if self.config.recipe == "nnunet":
            return deep_supervision_loss([output] if isinstance(output, Tensor) else output, target)
        assert isinstance(output, Tensor)
        return segmentation_loss(output, target)

    def predict(self, network: nn.Module, told: Callable[[int], None]) -> None:
        """Writes ``predictions/CASE.nii.gz``: class indices on the grid of the source file."""
        for number, case in enumerate(self.people.test, start=1):
            path = self.folder / "predictions" / f"{case.id}.nii.gz"
            labels = labels_on_source_grid(case, self._scores(network, case))
            write_nifti(path, labels, np.array(case.source_affine))
            told(number)

    def validate(self, network: nn.Module) -> Scores | None:
        """Mean Dice of each class over the validation cases, on the prepared grid; None without cases."""
        if not self.people.validation:
            return None
        rows: list[dict[int, float | None]] = []
        for case in self.people.validation:
            predicted = self._scores(network, case).argmax(0).astype(np.uint8)
            rows.append(dice_scores(predicted, self._class_indices(case), range(1, self.num_classes)))
        return {name: _mean(row[index] for row in rows) for index, name in enumerate(self.config.classes, start=1)}

    def _scores(self, network: nn.Module, case: Case) -> NDArray[np.float32]:
        config = self.config
        return predict_scores(network, self.store.volume(case.id), config.patch_size, config.overlap, self.device)

    def _class_indices(self, case: Case) -> NDArray[np.uint8]:
        label = self.store.label(case.id)
        return class_map(case.label_names, class_entries(self.config), [int(label.max())])[label]


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
