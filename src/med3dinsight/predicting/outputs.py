"""What a model's predictions become on disk: label maps in a folder, or one table of class probabilities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from ..errors import InputError
from ..finetuning.inference import predict_probabilities, predict_scores
from ..finetuning.whole_volume import whole_volume
from ..preparing.item import Prepared
from ..records import Source
from ..volumes.nifti import write_nifti
from ..volumes.restoring import labels_on_source_grid
from ..workspace.files import write_json
from ..workspace.probability_table import ProbabilityRow, write_probabilities


class Output(Protocol):
    """Where predictions go, one scan after another."""

    def target(self, scan: Source) -> Path:
        """Returns the file that a scan's prediction goes to."""
        ...

    def add(self, scan: Source, prepared: Prepared) -> None:
        """Predicts one scan.

        Raises:
            InputError: The prepared scan does not fit the network.
        """
        ...

    def finish(self) -> None:
        """Writes what belongs to all scans together."""
        ...


class LabelMaps:
    """``SCAN.nii.gz`` for each scan, class indices on its own grid, and ``classes.json`` with the indices' names.

    Args:
        network: Segments.
        facts: ``model.json``.
        folder: Where to.
        device: Where the network is.
    """

    def __init__(self, network: nn.Module, facts: dict[str, Any], folder: Path, device: torch.device) -> None:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{folder} is a file, and label maps go to a folder", "give a folder for OUTPUT")
        self.network, self.facts, self.folder, self.device = network, facts, folder, device

    def target(self, scan: Source) -> Path:
        """Returns the label map's path."""
        return self.folder / f"{scan.id}.nii.gz"

    def add(self, scan: Source, prepared: Prepared) -> None:
        """Writes a scan's label map."""
        facts = self.facts
        scores = predict_scores(self.network, prepared.voxels, facts["patch_size"], facts["overlap"], self.device)
        labels = labels_on_source_grid(prepared.case, scores)
        write_nifti(self.target(scan), labels, np.array(prepared.case.source_affine))

    def finish(self) -> None:
        """Writes ``classes.json``."""
        names = {str(index): entry["name"] for index, entry in enumerate(self.facts["classes"], start=1)}
        write_json(self.folder / "classes.json", {"0": "background", **names})


class Probabilities:
    """One CSV file: the scan, the probability of each class, the most probable class.

    Args:
        network: Classifies whole volumes.
        facts: ``model.json``.
        file: Where to; written when all scans are done.
        device: Where the network is.
    """

    def __init__(self, network: nn.Module, facts: dict[str, Any], file: Path, device: torch.device) -> None:
        if file.is_dir():
            raise InputError(f"{file} is a folder, and class probabilities go to a CSV file", "give OUTPUT as FILE.csv")
        self.network, self.facts, self.file, self.device = network, facts, file, device
        self.rows: list[ProbabilityRow] = []

    def target(self, scan: Source) -> Path:
        """Returns the table's path."""
        return self.file

    def add(self, scan: Source, prepared: Prepared) -> None:
        """Predicts a scan's class."""
        volume = whole_volume(prepared.voxels, self.facts["patch_size"], self.facts["volume_input"])
        self.rows.append(ProbabilityRow(scan.image, predict_probabilities(self.network, volume, self.device)))

    def finish(self) -> None:
        """Writes the table."""
        write_probabilities(self.file, [entry["name"] for entry in self.facts["classes"]], self.rows)


#: How the predictions of a task are kept.
OUTPUTS: dict[str, Callable[[nn.Module, dict[str, Any], Path, torch.device], Output]] = {
    "segmentation": LabelMaps,
    "classification": Probabilities,
}
