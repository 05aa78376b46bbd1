"""A tiny workspace from scans to 2D features, for the tests of the rooms that learn: cheap, and really learnable."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file
from scipy.ndimage import gaussian_filter

from med3dinsight.features.config import EmbedConfig
from med3dinsight.features.run import EmbedResult
from med3dinsight.features.run import run as embed
from med3dinsight.finetuning.config import FinetuneConfig
from med3dinsight.finetuning.run import run as finetune
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.run import run as prepare
from med3dinsight.pretraining.config import PretrainConfig
from med3dinsight.pretraining.methods import METHODS
from med3dinsight.pretraining.resolving import unread
from med3dinsight.pretraining.run import run as pretrain
from med3dinsight.records import SliceRef
from med3dinsight.slices.sampling import plan_slices
from med3dinsight.towers.registry import TOWERS, TowerEntry
from med3dinsight.types import Progress
from med3dinsight.volumes.nifti import write_nifti
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.caption_store import CaptionStore
from med3dinsight.workspace.provenance import StageRecord, write_record
from med3dinsight.workspace.voxel_store import read_manifest

SPACING_MM = 2.0
CROP, POSITIONS = 16, 8
#: Stored as most scanners do: x to the left, y to the back.
FLIPPED = np.array([[-SPACING_MM, 0, 0, 30], [0, -SPACING_MM, 0, 40], [0, 0, SPACING_MM, -50], [0, 0, 0, 1.0]])
LABELS = {1: "ball", 2: "gap"}
CLASSES: dict[str, tuple[str | int, ...]] = {"ball": ("ball",), "gap": ("gap",)}


def make_scan(seed: int, shape: tuple[int, int, int]) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """A soft random field in HU with a bright ball (label 1) and a block of air (label 2), and the label map."""
    rng = np.random.default_rng(seed)
    hu = gaussian_filter(rng.normal(size=shape), 2.5)
    hu = hu / np.abs(hu).max() * 300
    label = np.zeros(shape, dtype=np.uint8)
    centre = rng.uniform(7, np.array(shape) - 7)
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    ball = ((grid - centre) ** 2).sum(-1) <= 5**2
    corner = rng.integers(0, np.array(shape) - 7)
    gap = tuple(slice(start, start + 7) for start in corner)
    label[gap] = 2
    label[ball] = 1
    hu[label == 1], hu[label == 2] = 700, -900
    return hu.astype(np.int16), label


def copy_of(workspace: Path, folder: Path) -> Workspace:
    """Copies a workspace into a folder."""
    shutil.copytree(workspace, folder / "copy")
    return Workspace(folder / "copy")


class KilledError(Exception):
    """Ends a stage where a test wants it to end."""


def killed_after(steps: int) -> Progress:
    """A progress reporter that ends a run when so many steps are done."""

    def progress(done: int, total: int, note: str = "") -> None:
        if done == steps:
            raise KilledError

    return progress


class ToyTowers:
    """An image tower of block means and a text tower that reads plane and position out of ``plane=0 at=0.25``.

    Attributes:
        pictures: How many pictures it was shown.
        texts: The texts it was shown, in order.
    """

    image_width, text_width, identity = 16, 12, "toy"

    def __init__(self) -> None:
        self.pictures = 0
        self.texts: list[str] = []

    def embed_images(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Means of 4 x 4 blocks."""
        self.pictures += len(pictures)
        edge = pictures[0].shape[0] // 4
        blocks = np.stack(pictures).reshape(len(pictures), 4, edge, 4, edge)
        return blocks.mean((2, 4)).reshape(len(pictures), 16).astype(np.float32) / 255

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Two waves of the position in the columns of the plane."""
        self.texts += texts
        result = np.zeros((len(texts), 12), dtype=np.float32)
        for row, text in enumerate(texts):
            words = dict(word.split("=") for word in text.split() if "=" in word)
            phase, column = float(words["at"]) * math.pi, 4 * int(words["plane"])
            result[row, column : column + 4] = [
                math.cos(phase),
                math.sin(phase),
                math.cos(2 * phase),
                math.sin(2 * phase),
            ]
        return result


def text_of(ref: SliceRef) -> str:
    """The text of a slice that :class:`ToyTowers` understands."""
    return f"plane={int(ref.plane)} at={ref.relative_position:.4f} in={ref.crop.case}"


@dataclass
class Toy:
    """Builds a workspace stage by stage, each by the real stage but for captions and towers.

    Attributes:
        root: An empty folder.
        towers: What the towers called ``toy`` were asked.
    """

    root: Path
    towers: ToyTowers = field(default_factory=ToyTowers)

    def __post_init__(self) -> None:
        self.workspace = Workspace(self.root / "work", create=True)
        self.scans = self.root / "scans"

    def add(
        self,
        subject: str,
        *,
        seed: int | None = None,
        shape: tuple[int, int, int] = (24, 22, 20),
        names: dict[int, str] | None = LABELS,
        affine: NDArray[np.float64] = FLIPPED,
    ) -> Path:
        """Writes ``scans/SUBJECT/image.nii.gz``, and unless ``names`` is None a label map with a table of names."""
        chosen = int.from_bytes(hashlib.sha256(subject.encode()).digest()[:4], "big") if seed is None else seed
        hu, label = make_scan(chosen, shape)
        folder = self.scans / subject
        write_nifti(folder / "image.nii.gz", hu, affine)
        if names is not None:
            write_nifti(folder / "label.nii.gz", label, affine)
        if names:
            (folder / "label.json").write_text(json.dumps(names))
        return folder / "image.nii.gz"

    def prepare(self, **changes: Any) -> None:
        """Prepares at the scans' own spacing."""
        settings = {"protocol": "native", "spacing_mm": SPACING_MM, "modality": "ct", **changes}
        prepare(PrepareConfig(source=str(self.scans), **settings), self.workspace)

    def caption(
        self, captioner: str = "tissue", *, text: Callable[[SliceRef], str] = text_of, crops: int = 4, **config: Any
    ) -> list[SliceRef]:
        """Gives every slice a text, as a captioner would."""
        prepared = self.workspace.require(self.workspace.prepared, "prepare")
        slices = plan_slices(
            read_manifest(self.workspace.prepared),
            whole=prepared.config["protocol"] == "cube128",
            crop_size=CROP,
            crops_per_volume=crops,
            positions_per_plane=POSITIONS,
            seed=0,
        )
        with CaptionStore(self.workspace.captions, create=True) as ledger:
            ledger.replace_slices(slices)
            ledger.add(captioner, [(ref.key, text(ref)) for ref in slices])
        identity = hashlib.sha256(repr([(ref.key, text(ref)) for ref in slices]).encode()).hexdigest()
        record = StageRecord("caption", identity, config, {}, 0.0, inputs={"prepared": prepared.fingerprint})
        write_record(self.workspace.captions / captioner, record)
        return slices

    def embed(self, captioner: str = "tissue", **changes: Any) -> EmbedResult:
        """Embeds with the toy towers."""
        return embed(EmbedConfig(**{"towers": "toy", "captioner": captioner, "width": 8, **changes}), self.workspace)

    def ready(self, *subjects: str, held_out: tuple[str, ...] = (), **settings: Any) -> Workspace:
        """Everything that pre-training needs, for some people."""
        for subject in subjects:
            self.add(subject)
        self.prepare(**settings)
        self.caption()
        self.embed(held_out=held_out)
        return self.workspace


def pretrain_config(**changes: Any) -> PretrainConfig:
    """A few quick steps of ``conv_tiny``, with a small PSAT and the toy towers where the method has them."""
    small = {"towers": "toy", "slices_per_volume": 4, "num_queries": 4, "psat_width": 32}
    common = {"steps": 4, "batch_volumes": 2, "warmup_steps": 2, "device": "cpu"}
    return PretrainConfig(**{**common, **what_is_read(small, changes), **changes})


def what_is_read(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Returns those of some settings that a run with ``changes`` reads; all where there is no such method."""
    choices = ("method", "alignment", "reconstruction", "psat_module")
    method = str(changes.get("method", "insight"))
    if method not in METHODS:
        return settings
    nothing = unread(PretrainConfig(**{name: changes[name] for name in choices if name in changes}))
    return {name: value for name, value in settings.items() if name not in nothing}


def tensors_of(path: Path) -> dict[str, bytes]:
    """The bits of every tensor of a file of weights, whose metadata name the run that it is of."""
    return {name: value.tobytes() for name, value in load_file(path).items()}


def finetune_config(**changes: Any) -> FinetuneConfig:
    """A few quick steps of ``conv_tiny`` on anna, tested on bert."""
    small = {"classes": CLASSES, "train": ("anna",), "test": ("bert",), "patch_size": CROP, "steps": 4}
    return FinetuneConfig(**{**small, "warmup_steps": 2, "device": "cpu", **changes})


@pytest.fixture
def toy(tmp_path: Path, toy_towers: ToyTowers) -> Toy:
    """An empty toy workspace; towers called ``toy`` exist."""
    return Toy(tmp_path, toy_towers)


@pytest.fixture
def toy_towers(monkeypatch: pytest.MonkeyPatch) -> ToyTowers:
    """The towers called ``toy``, in the list of towers."""
    towers = ToyTowers()
    monkeypatch.setitem(TOWERS, "toy", TowerEntry(lambda device: towers, 0, "for tests", "the tests"))
    return towers


@pytest.fixture(scope="session")
def ready_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy workspace of anna, bert and cleo, embedded with cleo held out; only to be copied."""
    with pytest.MonkeyPatch.context() as patch:
        towers = ToyTowers()
        patch.setitem(TOWERS, "toy", TowerEntry(lambda device: towers, 0, "for tests", "the tests"))
        toy = Toy(tmp_path_factory.mktemp("ready"), towers)
        return toy.ready("anna", "bert", "cleo", held_out=("cleo",)).root


@pytest.fixture(scope="session")
def pretrained_once(ready_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the pre-training runs ``first`` and ``second``; only to be copied."""
    workspace = copy_of(ready_once, tmp_path_factory.mktemp("pretrained"))
    for seed, run in enumerate(("first", "second")):
        pretrain(pretrain_config(run=run, seed=seed, held_out=("cleo",)), workspace)
    return workspace.root


@pytest.fixture(scope="session")
def overfitted_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A toy workspace with the model folder ``finetuning/overfitted``, which knows anna by heart; only to be read."""
    toy = Toy(tmp_path_factory.mktemp("overfitted"))
    for subject in ("anna", "bert"):
        toy.add(subject)
    toy.prepare()
    changes = {"steps": 80, "learning_rate": 1e-2, "contrast_augmentation": 0.2, "checkpoint_every": 80}
    finetune(finetune_config(run="overfitted", batch_size=4, **changes), toy.workspace)
    return toy.root


def classification_config(table: Path, **changes: Any) -> FinetuneConfig:
    """A few quick steps of a classifier of whole volumes, split by the table unless told."""
    small = {"task": "classification", "table": str(table), "patch_size": CROP, "steps": 4, "warmup_steps": 2}
    return FinetuneConfig(**{**small, "device": "cpu", **changes})


def write_labels(folder: Path, labels: dict[str, str], sides: dict[str, str] | None = None) -> Path:
    """Writes ``labels.csv`` for people with one scan each: ``{subject: label}``, ``{subject: side}``."""
    lines = ["image,label,subject" + (",split" if sides else "")]
    for subject, label in labels.items():
        split = f",{sides[subject]}" if sides else ""
        lines.append(f"{subject}/image.nii.gz,{label},{subject}{split}")
    path = folder / "labels.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
