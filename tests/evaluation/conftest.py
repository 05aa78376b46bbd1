"""A tiny workspace with prepared cases and fine-tuned runs, written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scored_boxes import indices, label, slab

from med3dinsight.records import Case
from med3dinsight.volumes.nifti import write_nifti
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.files import write_json
from med3dinsight.workspace.probability_table import ProbabilityRow, write_probabilities
from med3dinsight.workspace.provenance import StageRecord, write_record
from med3dinsight.workspace.voxel_store import VoxelWriter

Array = NDArray[Any]
IDENTITY = tuple(tuple(row) for row in np.eye(4).tolist())
CLASSES = [{"name": "liver", "match": ["liver"]}, {"name": "lung", "match": ["lung_*"]}]
NAMES = ((5, "liver"), (10, "lung_left"), (11, "lung_right"), (52, "aorta"))


class Bench:
    """Builds the workspace piece by piece.

    Args:
        root: An empty folder.
    """

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root / "work", create=True)
        self.sources = root / "sources"
        self.sources.mkdir()
        self.cases: dict[str, Case] = {}

    def add_case(
        self,
        name: str,
        subject: str,
        label: Array | None,
        affine: Any = IDENTITY,
        names: tuple[tuple[int, str], ...] = NAMES,
        voxels: int | None = None,
    ) -> Case:
        """Prepares a case with a label map as stored; ``voxels`` decides its voxel hash."""
        shape = (4, 4, 4) if label is None else label.shape
        path = self.sources / f"{name}.nii.gz"
        if label is not None:
            write_nifti(path, label, affine)
        row = Case(
            id=name,
            subject=subject,
            image=str(path),
            modality="ct",
            modality_guessed=False,
            shape=(2, 2, 2),
            spacing_mm=(1.0, 1.0, 1.0),
            affine=IDENTITY,
            source_shape=shape,  # type: ignore[arg-type]
            source_affine=tuple(map(tuple, np.asarray(affine, dtype=float).tolist())),
            source_sha256="0",
            voxel_sha256=f"voxels of {name if voxels is None else voxels}",
            window=(-1000.0, 1000.0),
            offset=0,
            has_label=label is not None,
            label=None if label is None else str(path),
            label_names=names,
        )
        stored = None if label is None else np.zeros((2, 2, 2), np.uint16)
        self.cases[name] = VoxelWriter(self.workspace.prepared).append(row, np.zeros((2, 2, 2), np.uint8), stored)
        return self.cases[name]

    def add_run(self, name: str, predictions: Mapping[str, Array], *, finished: bool = True, **facts: Any) -> Path:
        """Fine-tunes a run: writes its facts, the class indices it predicts (as stored), and its record."""
        folder = self.workspace.finetuning / name
        arm, _, seed = name.rpartition("-s")
        default = {
            "task": "segmentation",
            "network": "conv_tiny",
            "num_classes": 3,
            "classes": CLASSES,
            "arm": arm,
            "seed": int(seed or 0),
            "init": "scratch" if arm == "scratch" else arm,
            "train": ["trained"],
            "validation": [],
            "test": sorted({self.cases[case].subject for case in predictions}),
            "test_cases": list(predictions),
        }
        write_json(folder / "model.json", {**default, **facts})
        for case, array in predictions.items():
            affine = self.cases[case].source_affine
            write_nifti(folder / "predictions" / f"{case}.nii.gz", array.astype(np.uint8), affine)
        if finished:
            write_record(folder, StageRecord("finetune", f"fingerprint of {name}", {}, {}, 1.0))
        return folder

    def add_classifier(self, name: str, predictions: Mapping[str, tuple[str, float]], **facts: Any) -> Path:
        """Fine-tunes a run that tells AD from NC: ``{case: (true class, probability of AD)}``."""
        two = {"task": "classification", "num_classes": 2, "classes": [{"name": "AD"}, {"name": "NC"}]}
        subjects = sorted({self.cases[case].subject for case in predictions})
        chosen = {**two, "test_cases": list(predictions), "test": subjects, **facts}
        folder = self.add_run(name, {}, **chosen)
        rows = [
            ProbabilityRow(self.cases[case].image, (share, 1 - share), case, self.cases[case].subject, label)
            for case, (label, share) in predictions.items()
        ]
        write_probabilities(folder / "predictions.csv", ("AD", "NC"), rows, of_cases=True)
        return folder

    def add_pretraining(self, name: str, subjects: list[str], voxels: list[str]) -> None:
        """Pre-trains: writes whom the run has seen."""
        write_json(self.workspace.pretraining / name / "encoder.json", {"subjects": subjects, "voxel_sha256": voxels})


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A workspace without cases or runs."""
    return Bench(tmp_path)


@pytest.fixture
def study(bench: Bench) -> Bench:
    """One test person, two arms, two seeds; the liver is a box whose prediction loses slices."""
    bench.add_case("chest", "anna", label(liver=slab(0, 4), aorta=(slice(0, 1),) * 3))
    for arm, lost in (("scratch", (2, 3)), ("psat", (0, 1))):
        for seed, slices in enumerate(lost):
            bench.add_run(f"{arm}-s{seed}", {"chest": indices(liver=slab(0, 4 - slices))})
    bench.add_pretraining("psat", ["trained"], ["other voxels"])
    return bench
