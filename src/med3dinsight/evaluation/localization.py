"""Slice localisation in people whom pre-training never saw, beside the wrong volume and shuffled captions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError, LeakageError
from ..records import Crop
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.files import read_json, write_json
from ..workspace.provenance import StageRecord, completed, fingerprint, write_record
from ..workspace.voxel_store import VoxelStore, read_manifest
from .readout_config import LocalizeConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..alignment.aligned_encoder import AlignedEncoder

STAGE_VERSION = 1
NUM_PLANES = 3
Scores = dict[str, Any]


@dataclass(frozen=True)
class LocalizeResult:
    """What localisation tells: ``localization`` is the path of the JSON file, ``arms`` its content."""

    localization: str
    arms: dict[str, Scores]
    done_before: bool = False


def run_localize(config: LocalizeConfig, workspace: Workspace, *, progress: Progress = silent) -> LocalizeResult:
    """Locates slices of unseen people with every arm; writes ``evaluation/localization.json``.

    Each crop of the person is asked at every (plane, position) of the slice table; the error of the best position
    on the true plane is compared with the same question put to crops of other people (the wrong volume) and to
    runs that were pre-trained on shuffled captions.

    Args:
        config: See :class:`LocalizeConfig`.
        workspace: With finished pre-training runs.
        progress: Told the runs done.

    Raises:
        ConfigError: A run is unknown, or every person was seen in pre-training.
        LeakageError: A person to be located in was seen by a run.
        WorkspaceError: An earlier stage is missing.
    """
    arms = config.arms or {name: (name,) for name in _finished_runs(workspace)}
    runs = sorted({run for group in (arms, config.controls) for names in group.values() for run in names})
    records = {run: workspace.require(workspace.pretraining / run, f"pretrain --run {run}") for run in runs}
    if not runs:
        raise ConfigError("there is no pre-training run to ask", "run `med3dinsight pretrain` first")
    folder = workspace.evaluation / "localization"
    identity = fingerprint(
        "localize", STAGE_VERSION, config.identity(), {run: record.fingerprint for run, record in records.items()}
    )
    if (record := completed(folder, identity)) is not None:
        return LocalizeResult(**{**record.result, "done_before": True})
    started = time.time()
    people = _unseen_people(config, workspace, runs)
    with workspace.lock("localization"):
        by_run = _score_runs(config, workspace, runs, people, progress)
        rows = {
            arm: _arm_row([by_run[run] for run in names], [by_run[run] for run in config.controls.get(arm, ())], people)
            for arm, names in arms.items()
        }
        path = workspace.evaluation / "localization.json"
        write_json(path, rows)
        result = LocalizeResult(str(path), rows)
        write_record(
            folder,
            StageRecord("localize", identity, config.model_dump(mode="json"), asdict(result), time.time() - started),
        )
    return result


def _finished_runs(workspace: Workspace) -> list[str]:
    return sorted(path.parent.name for path in workspace.pretraining.glob("*/stage.json"))


def _unseen_people(config: LocalizeConfig, workspace: Workspace, runs: list[str]) -> list[str]:
    cases = read_manifest(workspace.prepared)
    facts = {run: read_json(workspace.pretraining / run / "encoder.json") for run in runs}
    seen = {subject for row in facts.values() for subject in row["subjects"]}
    people = list(config.people) or sorted({case.subject for case in cases} - seen)
    if not people:
        raise ConfigError("every person was seen in pre-training", "pre-train with pretrain.held_out = [...]")
    for case in cases:
        for run, row in facts.items():
            if case.subject in people and (case.subject in row["subjects"] or case.voxel_sha256 in row["voxel_sha256"]):
                raise LeakageError(f"{case.id} was seen in pre-training run {run}", "locate in people it never saw")
    return people


def _score_runs(
    config: LocalizeConfig, workspace: Workspace, runs: list[str], people: list[str], progress: Progress
) -> dict[str, Scores]:
    from ..alignment.aligned_encoder import load_aligned
    from ..training.precision import choose_device, limit_threads

    limit_threads(config.threads)
    device = choose_device(config.device)
    results: dict[str, Scores] = {}
    for number, run in enumerate(runs, start=1):
        model, facts = load_aligned(workspace.pretraining / run)
        gallery = build_gallery(config, workspace, people, facts["towers"], facts["captioner"])
        match = config.match if facts["match"] == "both" else facts["match"]
        results[run] = {"seed": facts["seed"], **score_model(model.to(device).eval(), gallery, match, device)}
        progress(number, len(runs), run)
    return results


@dataclass(frozen=True)
class Gallery:
    """The question: crops, where they are asked, what lies there, and where else to ask.

    Attributes:
        crops: Crops of the people, ``(c,)``.
        wrong: As many crops of other people.
        volumes: Reads a crop's voxels as ``(s, s, s)`` uint8.
        positions: ``(p * j,)`` relative positions and planes of a crop's slices.
        planes: As above.
        features: Image and text features, each ``(c, p, j, e)``.
        visible: ``(c, p, j)`` slices that show something.
        spacing_mm: Distance between neighbouring positions.
    """

    crops: list[Crop]
    wrong: list[Crop]
    volumes: Callable[[Crop], np.ndarray]
    planes: Tensor
    positions: Tensor
    features: tuple[Tensor, Tensor]
    visible: Tensor
    spacing_mm: float


def build_gallery(
    config: LocalizeConfig, workspace: Workspace, people: list[str], towers: str, captioner: str
) -> Gallery:
    """Collects the crops of the people, their slices' features, and crops of others of the same modality."""
    import torch

    from ..slices.emptiness import is_empty
    from ..towers.targets import load_targets
    from ..workspace.caption_store import CaptionStore

    store = VoxelStore(workspace.prepared)
    with CaptionStore(workspace.captions) as ledger:
        slices = ledger.slices()
    by_crop: dict[Crop, list[int]] = {}
    for row, ref in enumerate(slices):
        by_crop.setdefault(ref.crop, []).append(row)
    own: list[Crop] = []
    for person in people:
        own += [crop for crop in by_crop if store.cases[crop.case].subject == person][: config.max_crops]
    others = [crop for crop in by_crop if store.cases[crop.case].subject not in people]
    rng = np.random.default_rng([config.seed, 40])
    wrong = [_other_crop(rng, crop, others, store) for crop in own]
    refs = [slices[row] for row in by_crop[own[0]]]
    images, texts = load_targets(workspace, towers, captioner, texts_of=_true_texts(workspace, captioner))
    rows = torch.tensor([by_crop[crop] for crop in own]).reshape(len(own), NUM_PLANES, -1)
    voxels = {crop: store.crop(crop) for crop in own}
    visible = [[not is_empty(voxels[crop], slices[row]) for row in by_crop[crop]] for crop in own]
    first = own[0]
    step = first.size * store.cases[first.case].spacing_mm[0] / rows.shape[2]
    return Gallery(
        own,
        wrong,
        store.crop,
        torch.tensor([int(ref.plane) for ref in refs]),
        torch.tensor([ref.relative_position for ref in refs]),
        (images[rows], texts[rows]),
        torch.tensor(visible).reshape(rows.shape),
        step,
    )


def _true_texts(workspace: Workspace, captioner: str) -> str | None:
    """Returns whose texts the shuffled captioner has dealt out wrongly, None for the others.

    Asked with its own texts a run on shuffled captions could only fail; asked with the true ones it fails because
    of what it learned.
    """
    if captioner != "shuffled":
        return None
    return str(workspace.require(workspace.captions / captioner, "caption --captioner shuffled").config["shuffle_of"])


def _other_crop(rng: np.random.Generator, crop: Crop, others: list[Crop], store: VoxelStore) -> Crop:
    modality = store.cases[crop.case].modality
    alike = [other for other in others if store.cases[other.case].modality == modality] or others
    return alike[rng.integers(len(alike))]


def score_model(model: AlignedEncoder, gallery: Gallery, match: str, device: torch.device) -> Scores:
    """Asks the right and the wrong volumes; returns their scores, and those by image or text alone."""
    from ..readouts.localization import localize

    right = answer(model, gallery, gallery.crops, device)
    wrong = answer(model, gallery, gallery.wrong, device)

    def score(answers: tuple[Tensor, Tensor], match: str) -> Scores:
        return asdict(localize(answers, gallery.features, gallery.visible, gallery.spacing_mm, match))

    return {
        "volume": score(right, match),
        "wrong_volume": score(wrong, match),
        "image_only": score(right, "image"),
        "text_only": score(right, "text"),
    }


def answer(model: AlignedEncoder, gallery: Gallery, crops: list[Crop], device: torch.device) -> tuple[Tensor, Tensor]:
    """Returns PSAT's image and text vectors for crops at every place, each ``(c, p, j, e)`` on the CPU."""
    import torch

    from ..training.precision import autocast

    images, texts = [], []
    with torch.inference_mode():
        for crop in crops:
            voxels = torch.from_numpy(gallery.volumes(crop).astype(np.float32) / 255)[None, None].to(device)
            with autocast(device):
                image, text = model(voxels, gallery.planes[None].to(device), gallery.positions[None].to(device))
            images.append(image[0].float().cpu())
            texts.append(text[0].float().cpu())
    shape = (len(crops), NUM_PLANES, -1)
    return (
        torch.stack(images).reshape(*shape, images[0].shape[-1]),
        torch.stack(texts).reshape(*shape, texts[0].shape[-1]),
    )


def _arm_row(runs: list[Scores], controls: list[Scores], people: list[str]) -> Scores:
    row: Scores = {"person": people[0] if len(people) == 1 else people}
    for part in ("volume", "wrong_volume"):
        row[part] = _mean([run[part] for run in runs])
    row["shuffled_captions"] = _mean([run["volume"] for run in controls]) if controls else None
    for part in ("image_only", "text_only"):
        row[part] = _mean([run[part] for run in runs])
    row["seeds"] = [run["seed"] for run in runs]
    row["by_seed"] = {part: [run[part] for run in runs] for part in ("volume", "wrong_volume")}
    row["control_seeds"] = [run["seed"] for run in controls]
    return row


def _mean(scores: list[Scores]) -> Scores:
    return {key: sum(row[key] for row in scores) / len(scores) for key in scores[0]}
