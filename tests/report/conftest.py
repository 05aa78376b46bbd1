"""A tiny workspace that every stage has been through, written by hand: all its numbers are invented."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from med3dinsight.records import Case, Crop
from med3dinsight.slices.sampling import slices_of_crop
from med3dinsight.types import silent
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

    def embed(self, captioner: str, held_out: tuple[str, ...]) -> None:
        result = {
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
        config = {"captioner": captioner, "held_out": list(held_out)}
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


def class_row(values: list[float | None]) -> dict[str, Any]:
    """The scores of one class in one case: the same for every metric, one value a seed."""
    defined = [value for value in values if value is not None]
    mean = sum(defined) / len(defined) if defined else None
    by_seed = {metric: values for metric in ("dice", "hd95_mm", "nsd")}
    return {"dice": mean, "hd95_mm": mean, "nsd": mean, "voxels_truth": 5, "by_seed": by_seed}


def comparison(metric: str = "dice", ci95: tuple[float, float] = (-0.02, 0.04), **changes: Any) -> dict[str, Any]:
    """One comparison of ``scores.json``."""
    return {
        "arm": "insight",
        "against": "scratch",
        "metric": metric,
        "better": "lower" if metric == "hd95_mm" else "higher",
        "mean_difference": sum(ci95) / 2,
        "ci95": list(ci95),
        "p_value": 0.25,
        "p_adjusted": 0.5,
        "test": "sign-flip permutation, exact",
        "scope": "within subject",
        "n_subjects": 1,
        "n_seeds": 2,
        "n_cases": 1,
        **changes,
    }


def scores(test: str = "bob") -> dict[str, Any]:
    """A ``scores.json`` of two arms with two seeds."""

    def arm(init: str, values: list[float | None]) -> dict[str, Any]:
        cases = {test: {"liver": class_row(values), "lung": class_row([None, None])}}
        return {"init": init, "network": "conv_tiny", "seed": [0, 1], "cases": cases}

    return {
        "settings": {"cases": "volume"},
        "definitions": {"dice": "twice what they share by what they have", "nsd": "tolerance 3 mm"},
        "arms": {"scratch": arm("scratch", [0.5, 0.6]), "insight": arm("insight-s0", [0.5, 0.7])},
        "leakage_checks": {"insight-s0": "training and pre-training"},
        "comparisons": [comparison(), comparison("hd95_mm", (-3.0, 1.0))],
        "not_compared": [],
        "left_out": {"cases": [], "values": []},
    }


def classes() -> dict[str, Any]:
    """A ``classification.json`` of two arms."""

    def arm(init: str, low: float, high: float) -> dict[str, Any]:
        by_seed = {"accuracy": [low, high], "balanced_accuracy": [low, high], "auroc": [low, None]}
        summary = {"accuracy": (low + high) / 2, "balanced_accuracy": (low + high) / 2, "auroc": low}
        cases = {"bob": {"AD": {"probability": 0.7, "truth": 1}, "NC": {"probability": 0.3, "truth": 0}}}
        return {
            "init": init,
            "seed": [0, 1],
            "cases": cases,
            "summary": {**summary, "by_seed": by_seed, "n_cases": 12, "n_subjects": 9},
        }

    alone = {"arm": "late", "against": None, "reason": "no scratch arm of this network and classes"}
    return {
        "task": "classification",
        "definitions": {"auroc": "ties half"},
        "arms": {"scratch": arm("scratch", 0.5, 0.6), "insight": arm("insight-s0", 0.75, 0.85)},
        "leakage_checks": {"insight-classes-s0": "training and pre-training"},
        "comparisons": [comparison("auroc", (0.05, 0.45), scope="subjects", n_subjects=9, p_adjusted=0.03)],
        "not_compared": [alone],
        "left_out": {"cases": [], "values": []},
    }


def localization(person: str = "bob", error: float = 24.0, wrong: float = 50.0, recall: float = 0.25) -> dict[str, Any]:
    """One arm of ``localization.json``."""

    def part(mean: float, hits: float) -> dict[str, float]:
        return {"mean_mm": mean, "median_mm": 12.0, "crop_recall_at_1": hits, "gallery": 40.0, "slices": 1234.0}

    return {
        "person": person,
        "volume": part(error, recall),
        "wrong_volume": part(wrong, 0.02),
        "shuffled_captions": part(48.0, 0.03),
        "image_only": part(30.0, 0.2),
        "text_only": None,
        "seeds": [0],
        "by_seed": {"volume": [part(error, recall)]},
    }


@dataclass
class Parsed(HTMLParser):
    """A page taken apart: its tags with their attributes, and its text."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """All text with single spaces."""
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every tag of a name."""
        return [attributes for name, attributes in self.tags if name == tag]


def parse(page: str) -> Parsed:
    parsed = Parsed()
    parsed.feed(page)
    parsed.close()
    return parsed


def render(bench: Workbench, **settings: Any) -> str:
    """Renders the page of a workspace."""
    from med3dinsight.report.config import ReportConfig
    from med3dinsight.report.inputs import read_inputs
    from med3dinsight.report.page import render_page

    return render_page(read_inputs(bench.workspace), ReportConfig(**settings), silent)


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    """An empty workspace."""
    return Workbench(tmp_path)


@pytest.fixture(scope="session")
def full_page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a workspace that every stage has been through."""
    return render(Workbench(tmp_path_factory.mktemp("full")).everything())


@pytest.fixture(scope="session")
def workbench() -> type[Workbench]:
    """The class that builds workspaces."""
    return Workbench


@pytest.fixture
def remove() -> Callable[[Path], None]:
    """Removes a folder."""
    return shutil.rmtree


@pytest.fixture
def page_of() -> Callable[..., str]:
    """Renders the page of a workbench: ``page_of(bench, **settings of the report)``."""
    return render


@pytest.fixture
def parsed() -> Callable[[str], Parsed]:
    """Takes a page apart."""
    return parse


@pytest.fixture
def make_comparison() -> Callable[..., dict[str, Any]]:
    """One comparison of ``scores.json``: ``make_comparison(metric, ci95, **changes)``."""
    return comparison


@pytest.fixture
def make_localization() -> Callable[..., dict[str, Any]]:
    """One arm of ``localization.json``."""
    return localization


@pytest.fixture
def make_scores() -> Callable[..., dict[str, Any]]:
    """A ``scores.json`` of two arms."""
    return scores
