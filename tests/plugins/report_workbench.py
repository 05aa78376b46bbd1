"""A tiny workspace that every stage has been through, written by hand: all its numbers are invented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from report_numbers import classes, localization, scores

from med3dinsight.records import Case, Crop
from med3dinsight.slices.sampling import slices_of_crop
from med3dinsight.volumes.nifti import write_nifti
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.files import write_json
from med3dinsight.workspace.provenance import StageRecord, write_record
from med3dinsight.workspace.voxel_store import VoxelWriter

SHAPE = (24, 20, 16)
NAMES = ((1, "liver"), (2, "lung_left"), (3, "lung_right"))
CLASSES = [{"name": "liver", "match": ["liver"]}, {"name": "lung", "match": ["lung_*"]}]
IDENTITY = tuple(tuple(row) for row in np.eye(4).tolist())
BY_MODEL = "A scan of one person. Labels drawn by some model, not by a person."


def body() -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """A block of soft tissue in air with two organs in it: intensities in HU, and label values."""
    image = np.full(SHAPE, -1000, dtype=np.int16)
    image[4:20, 4:16] = 40
    label = np.zeros(SHAPE, dtype=np.uint8)
    label[6:10, 6:10, 2:9] = 1
    label[12:18, 6:12, 6:14] = 2
    image[label == 2] = -800
    return image, label


class Workbench:
    """Builds the workspace part by part; each part is what one stage would leave."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root / "work", create=True)
        self.sources = root / "sources"
        self.cases: list[Case] = []

    def record(self, folder: Path, stage: str, config: dict[str, Any], result: dict[str, Any]) -> None:
        identity = f"{stage} {folder.name}"
        write_record(folder, StageRecord(stage, identity, config, result, 75.0, finished=1.0e9))

    def prepare(self, *subjects: str, left_out: tuple[dict[str, str], ...] = (), **changes: Any) -> None:
        """Prepares one case a subject, of the same name."""
        image, label = body()
        affine = np.diag([2.0, 2.0, 4.0, 1.0])
        writer = VoxelWriter(self.workspace.prepared)
        for number, subject in enumerate(subjects):
            path = self.sources / f"image-{number}.nii.gz"
            write_nifti(path, image, affine)
            write_nifti(path.with_name(f"label-{number}.nii.gz"), label, affine)
            row = Case(
                **{
                    "id": subject,
                    "subject": subject,
                    "image": str(path),
                    "modality": "ct",
                    "modality_guessed": False,
                    "shape": SHAPE,
                    "spacing_mm": (2.0, 2.0, 4.0),
                    "affine": tuple(map(tuple, affine.tolist())),
                    "source_shape": SHAPE,
                    "source_affine": tuple(map(tuple, affine.tolist())),
                    "source_sha256": "0",
                    "voxel_sha256": subject,
                    "window": (-1000.0, 1000.0),
                    "offset": 0,
                    "has_label": True,
                    "label": str(path.with_name(f"label-{number}.nii.gz")),
                    "label_names": NAMES,
                    "origin": BY_MODEL,
                    "licence": "CC0",
                    **changes,
                }
            )
            grey = ((image.astype(float) + 1000) / 2000 * 255).astype(np.uint8)
            self.cases.append(writer.append(row, grey, label.astype(np.uint16)))
        result = {"prepared": len(subjects), "left_out": list(left_out)}
        self.record(self.workspace.prepared, "prepare", {"source": str(self.sources), "protocol": "native"}, result)

    def caption(self, captioner: str, text: str = "Two organs.") -> None:
        slices = [ref for case in self.cases for ref in slices_of_crop(Crop(case.id, (0, 0, 0), 16), 4)]
        with CaptionStore(self.workspace.captions, create=True) as ledger:
            ledger.replace_slices(slices)
            ledger.add(captioner, [(ref.key, text) for ref in slices])
        result = {"captioned": len(slices), "captioner": captioner}
        self.record(self.workspace.captions / captioner, "caption", {"captioner": captioner}, result)

    def embed(self, captioner: str, held_out: tuple[str, ...], *, without_text: int = 0, **settings: Any) -> None:
        result = {
            "without_text": without_text,
            "slices": 24,
            "texts": 24,
            "towers": "minilm-lite",
            "captioner": captioner,
            "projection": "whitened",
            "retrieval_before": 0.004,
            "retrieval_after": 0.094,
            "retrieval_training": 0.31,
            "retrieval_people": "held out",
        }
        config = {"captioner": captioner, "held_out": list(held_out), **settings}
        self.record(self.workspace.features / "minilm-lite" / captioner, "embed", config, result)

    def pretrain(self, arm: str, subjects: tuple[str, ...], captioner: str = "tissue") -> None:
        folder = self.workspace.pretraining / f"{arm}-s0"
        facts = {"encoder": "conv_tiny", "captioner": captioner, "match": "both", "seed": 0, "subjects": list(subjects)}
        write_json(folder / "encoder.json", facts)
        rows = [
            {"step": step, "loss": 9 - step / 5, "image_accuracy": 0.1, "text_accuracy": 0.2, "spread": 4.5}
            for step in (10, 20)
        ]
        (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        result = {"encoder": "conv_tiny", "method": "insight", "steps": 20, "final_loss": 5.0, "pairs_per_second": 90.0}
        self.record(folder, "pretrain", {"run": folder.name, "steps": 20, "captioner": captioner}, result)

    def finetune(self, arm: str, seed: int, train: tuple[str, ...], test: tuple[str, ...], shift: int = 0) -> None:
        folder = self.workspace.finetuning / f"{arm}-s{seed}"
        facts = {
            "network": "conv_tiny",
            "classes": CLASSES,
            "arm": arm,
            "seed": seed,
            "init": "scratch" if arm == "scratch" else f"{arm}-s0",
            "train": list(train),
            "validation": [],
            "test": list(test),
            "test_cases": list(test),
        }
        write_json(folder / "model.json", facts)
        (folder / "log.jsonl").write_text('{"step": 10, "loss": 0.9}\n{"step": 20, "loss": 0.4}\n')
        drawn = np.minimum(np.roll(body()[1], shift, axis=0), 2)
        for case in test:
            affine = next(row.source_affine for row in self.cases if row.id == case)
            write_nifti(folder / "predictions" / f"{case}.nii.gz", drawn, affine)
        self.record(folder, "finetune", {"arm": arm, "seed": seed, "steps": 20}, {})

    def classify(self, scored: bool = True) -> None:
        """Two arms that tell two classes apart, one seed each, on one person; and their scores."""
        for arm in ("scratch", "insight"):
            folder = self.workspace.finetuning / f"{arm}-classes-s0"
            facts = {"task": "classification", "network": "conv_tiny", "arm": arm, "seed": 0}
            facts |= {
                "classes": [{"name": "AD"}, {"name": "NC"}],
                "init": "scratch" if arm == "scratch" else "insight-s0",
            }
            facts |= {"train": ["ann"], "validation": [], "test": ["bob"], "test_cases": ["bob"]}
            write_json(folder / "model.json", facts)
            (folder / "log.jsonl").write_text('{"step": 20, "loss": 0.6}\n')
            self.record(folder, "finetune", {"arm": arm, "seed": 0, "steps": 20}, {})
        if scored:
            write_json(self.workspace.evaluation / "classification.json", classes())
            self.record(self.workspace.evaluation / "classification", "evaluate", {}, {})

    def evaluate(self, scores: dict[str, Any]) -> None:
        write_json(self.workspace.evaluation / "scores.json", scores)
        self.record(self.workspace.evaluation / "segmentation", "evaluate", {"cases": "volume"}, {})

    def localize(self, arms: dict[str, Any]) -> None:
        write_json(self.workspace.evaluation / "localization.json", arms)
        self.record(self.workspace.evaluation / "localization", "localize", {"match": "both"}, {})

    def probe(self, arms: dict[str, Any], test: tuple[str, ...]) -> None:
        write_json(self.workspace.evaluation / "probe.json", arms)
        self.record(self.workspace.evaluation / "probe", "probe", {"train": ["ann"], "test": list(test)}, {})

    def study(self, **study: Any) -> None:
        document = {
            "study": {"name": "tiny", "seeds": [0, 1], **study},
            "pretrain": {"steps": 20},
            "arm": [
                {"name": "scratch", "init": "scratch"},
                {"name": "insight", "captioner": "tissue"},
                {
                    "name": "shuffled",
                    "captioner": "shuffled",
                    "control_of": "insight",
                    "finetune": False,
                    "pretrain": {"match": "text"},
                },
            ],
        }
        write_json(self.workspace.root / "study.json", {"folder": str(self.sources), "document": document})

    def everything(self, test: str = "bob", title: str = "A tiny study") -> Workbench:
        """All stages, with ``ann`` for training and ``test`` for testing."""
        self.study(title=title, test_subjects=[test])
        self.prepare("ann", test)
        for captioner in ("tissue", "shuffled"):
            self.caption(captioner, f"A text of {captioner}.")
            self.embed(captioner, (test,))
        self.pretrain("insight", ("ann",))
        self.pretrain("shuffled", ("ann",), "shuffled")
        for seed in (0, 1):
            self.finetune("scratch", seed, ("ann",), (test,), shift=4)
            self.finetune("insight", seed, ("ann",), (test,), shift=1)
        self.evaluate(scores(test))
        self.localize({"insight": localization(test)})
        auc = {"liver": 0.8, "lung": 0.9}
        random = {"mean_auc": 0.8, "lowest": 0.75, "highest": 0.85, "by_init": [{"auc": auc}, {"auc": {"liver": 0.7}}]}
        self.probe({"random conv_tiny": random, "insight-s0": {"mean_auc": 0.88, "auc": auc}}, (test,))
        return self
