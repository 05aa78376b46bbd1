"""Classification as a fine-tuning task: whole volumes and their classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from ..metrics.classification import classification_scores
from ..records import Case
from ..training.augmentation import contrast_curve
from ..training.seeding import step_generator
from ..workspace.probability_table import ProbabilityRow, write_probabilities
from ..workspace.voxel_store import VoxelStore
from .config import FinetuneConfig
from .inference import predict_probabilities
from .label_table import LabelTable
from .people import People
from .task import Scores
from .whole_volume import whole_volume

#: Name of the file with what a run says of its test cases.
PREDICTIONS = "predictions.csv"


class ClassificationTask:
    """Whole training volumes in a new order each time round; probabilities of the classes of test volumes.

    Args:
        config: Settings; ``patch_size`` is the edge of the network's input.
        store: Prepared volumes.
        people: Who trains, validates and is tested.
        table: The labels.
        folder: The run's folder; test predictions go to ``predictions.csv``.
        device: Where the network is.

    Raises:
        InputError: A volume is too thin to be resized.
    """

    def __init__(
        self,
        config: FinetuneConfig,
        store: VoxelStore,
        people: People,
        table: LabelTable,
        folder: Path,
        device: torch.device,
    ) -> None:
        self.config, self.store, self.people, self.table, self.device = config, store, people, table, device
        self.path = folder / PREDICTIONS
        self.num_classes = len(table.classes)
        self.volumes = [self._input(case) for case in people.train]
        self.truth = np.array([table.class_of[case.id] for case in people.train])
        for case in (*people.validation, *people.test):  # a volume that does not fit is said now, not after training
            self._input(case)
        self.weights = self._class_weights().to(device)

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Draws a step's volumes ``(b, 1, s, s, s)``, each under a random contrast curve, and class indices ``(b,)``.

        Every training case is shown once before any is shown again.
        """
        first = step * self.config.batch_size
        cases = [self._place(number) for number in range(first, first + self.config.batch_size)]
        rng = step_generator(self.config.seed, step, "contrast")
        curves = [contrast_curve(rng, self.config.contrast_augmentation) for _ in cases]
        images = np.stack([curve[self.volumes[case]] for curve, case in zip(curves, cases, strict=True)])
        return torch.from_numpy(images)[:, None], torch.from_numpy(self.truth[cases].astype(np.int64))

    def loss(self, output: Tensor | list[Tensor], target: Tensor) -> Tensor:
        """Cross-entropy; with balanced weights a mean weighted by each case's class."""
        assert isinstance(output, Tensor)
        return F.cross_entropy(output.float(), target, self.weights)

    def predict(self, network: nn.Module, told: Callable[[int], None]) -> Scores | None:
        """Writes ``predictions.csv`` and returns the scores of the test cases."""
        rows = []
        for number, case in enumerate(self.people.test, start=1):
            probabilities = predict_probabilities(network, self._input(case), self.device)
            label = self.table.classes[self.table.class_of[case.id]]
            rows.append(ProbabilityRow(case.image, probabilities, case.id, case.subject, label))
            told(number)
        write_probabilities(self.path, self.table.classes, rows, of_cases=True)
        return self._scores([row.probabilities for row in rows], self.people.test)

    def validate(self, network: nn.Module) -> Scores | None:
        """Accuracy, balanced accuracy and AUROC of the validation cases; None without any."""
        cases = self.people.validation
        if not cases:
            return None
        return self._scores([predict_probabilities(network, self._input(case), self.device) for case in cases], cases)

    def _scores(self, probabilities: list[tuple[float, ...]], cases: list[Case]) -> Scores:
        scores = classification_scores(probabilities, [self.table.class_of[case.id] for case in cases])
        return {
            "accuracy": scores["accuracy"],
            "balanced_accuracy": scores["balanced_accuracy"],
            "auroc": scores["auroc"],
        }

    def _input(self, case: Case) -> NDArray[np.uint8]:
        return whole_volume(self.store.volume(case.id), self.config.patch_size, self.config.volume_input)

    def _place(self, number: int) -> int:
        """Index of the training case that is the ``number``-th to be shown."""
        turn, place = divmod(number, len(self.volumes))
        return int(step_generator(self.config.seed, turn, "order").permutation(len(self.volumes))[place])

    def _class_weights(self) -> Tensor:
        if self.config.class_weights == "equal":
            return torch.ones(self.num_classes)
        counts = np.bincount(self.truth, minlength=self.num_classes)
        return torch.from_numpy((len(self.truth) / (self.num_classes * counts)).astype(np.float32))
