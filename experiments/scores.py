"""What a cell is scored by, person by person, by the library's functions: frozen probe, slice localisation, Dice.

The held-out person and the simulated ones that were made from it are scored alike and kept apart. What does not change
between cells (truths, galleries) is kept by a worker process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from med3dinsight.alignment.aligned_encoder import load_aligned
from med3dinsight.encoders.registry import create_encoder
from med3dinsight.evaluation.localization import score_model
from med3dinsight.evaluation.segmentation import Truth, read_truth, slab_regions
from med3dinsight.metrics.overlap import dice_scores
from med3dinsight.readouts.gallery import Gallery, answer, build_gallery
from med3dinsight.readouts.localization import localize
from med3dinsight.readouts.probe import fit_probe
from med3dinsight.readouts.tissue import Draw, tissue_features
from med3dinsight.training.precision import autocast
from med3dinsight.volumes.reading import read_label
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.files import read_json
from med3dinsight.workspace.voxel_store import VoxelStore

#: Large organs that all three labelled CTs show and that do not hang on the contrast phase.
CLASSES: dict[str, tuple[str, ...]] = {
    "liver": ("liver",),
    "vertebrae": ("vertebrae_*",),
    "back_muscle": ("autochthon_*",),
    "lung": ("lung_*",),
}
ENTRIES = tuple({"name": name, "match": list(match)} for name, match in CLASSES.items())
VOXELS_PER_CLASS = 400
#: Crops asked of the real person, and of each simulated one.
REAL_CROPS, SIMULATED_CROPS = 30, 10
SLAB_MM = 96.0
DIGITS = 5
CPU = torch.device("cpu")

Scores = dict[str, Any]


def probe(workspace: Workspace, run: str, train: Sequence[str], test: Sequence[str]) -> Scores:
    """``{person: {"mean", "auc": {class: AUC}}}`` of a linear probe on a run's frozen features."""
    folder = workspace.pretraining / run
    facts = read_json(folder / "encoder.json")
    _refuse_seen(facts, test)
    size = int(facts["image_size"])
    encoder = create_encoder(facts["encoder"], image_size=size, pretrained=folder / "encoder.safetensors").eval()
    store, draw = VoxelStore(workspace.prepared), Draw(ENTRIES, VOXELS_PER_CLASS, 0)

    def look(people: Sequence[str]) -> Any:
        cases = [case for case in store.cases.values() if case.subject in people]
        with autocast(CPU):  # bf16 where the processor has it, for all arms alike: a third of the time
            return tissue_features(encoder, store, cases, draw, size, CPU)

    fitted = fit_probe(*look(train))
    scores: Scores = {}
    for person in test:
        auc = fitted.auc(*look([person]))
        named = {list(CLASSES)[index - 1]: round(value, DIGITS) for index, value in auc.items()}
        scores[person] = {"mean": round(fmean(auc.values()), DIGITS), "auc": named}
    return scores


def localization(workspace: Workspace, run: str, person: str, simulated: Sequence[str]) -> Scores:
    """``{person: scores}``; the real person's with the wrong volume, the blind guess and each modality alone."""
    model, facts = load_aligned(workspace.pretraining / run)
    _refuse_seen(facts, [person, *simulated])
    model.eval()
    match = facts["match"]
    real = score_model(model, _gallery(workspace.root, person, facts["captioner"], REAL_CROPS), match, CPU)
    scores: Scores = {person: {part: _rounded(values) for part, values in real.items()}}
    for name in simulated:
        gallery = _gallery(workspace.root, name, facts["captioner"], SIMULATED_CROPS)
        right = answer(model, gallery, gallery.crops, CPU)
        sides = {"volume": match, "text_only": "text"}
        scores[name] = {
            part: _rounded(asdict(localize(right, gallery.features, gallery.visible, gallery.places_mm, side)))
            for part, side in sides.items()
        }
    return scores


@lru_cache(maxsize=64)
def _gallery(root: Path, person: str, captioner: str, crops: int) -> Gallery:
    return build_gallery(Workspace(root), [person], "minilm-lite", captioner, max_crops=crops, seed=0)


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in values.items()}


def dice(workspace: Workspace, run: str, person: str, simulated: Sequence[str]) -> Scores:
    """``{person: {piece: {class: Dice or None}}}``; the real person by half slabs, simulated ones whole."""
    cases = VoxelStore(workspace.prepared).cases
    scores: Scores = {}
    for name in (person, *simulated):
        case = next(case for case in cases.values() if case.subject == name)
        truth = _truth(workspace.root, case.id)
        path = workspace.finetuning / run / "predictions" / f"{case.id}.nii.gz"
        predicted = read_label(path, case).astype(np.uint8)
        regions = {"whole": (slice(None),) * 3}
        if name == person:
            regions = dict(slab_regions(truth.indices.shape, truth.spacing_mm, SLAB_MM))
        scores[name] = {
            piece: dict(zip(CLASSES, values.values(), strict=True))
            for piece, region in regions.items()
            if truth.indices[region].any()
            for values in [_rounded(dice_scores(predicted[region], truth.indices[region], range(1, len(CLASSES) + 1)))]
        }
    return scores


@lru_cache(maxsize=64)
def _truth(root: Path, case: str) -> Truth:
    return read_truth(VoxelStore(Workspace(root).prepared).cases[case], ENTRIES)


def _refuse_seen(facts: dict[str, Any], people: Sequence[str]) -> None:
    if seen := sorted(set(facts["subjects"]) & set(people)):
        raise RuntimeError(f"{seen[0]} was seen in pre-training")
