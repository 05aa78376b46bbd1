"""Read-outs while training, on people who are held out: does what is learned carry over to somebody new?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from ..alignment.aligned_encoder import AlignedEncoder
from ..errors import ConfigError
from ..readouts.gallery import Gallery, answer, build_gallery
from ..readouts.localization import blind_guess, localize
from ..readouts.modality_gap import centroid_gaps
from ..readouts.neighbours import votes
from ..readouts.probe import probe_auc
from ..readouts.retrieval import retrieval
from ..readouts.tissue import Draw, tissue_features
from ..volumes.labels import annotated_classes
from ..workspace import Workspace
from ..workspace.voxel_store import VoxelStore
from .config import PretrainConfig

#: Small enough to cost no more than some steps.
MAX_CROPS, VOXELS_PER_CLASS, NEIGHBOURS = 20, 100, 5

Rows = dict[str, Any]


def watcher(
    config: PretrainConfig, workspace: Workspace, image_size: int, device: torch.device
) -> Callable[[nn.Module], Rows] | None:
    """Returns what reads out of an encoder, with or without PSAT, while it is trained; None where nobody is watched.

    The rows hold, where they can be had: ``localization_mm`` beside the wrong volume's and the blind guess's,
    ``recall`` of pictures and texts by the answers, ``modality_gap``, how many ``crops`` and ``slices`` these were
    taken over, and, with ``pretrain.watch_classes``, ``probe_auc`` and ``knn_accuracy`` of frozen voxel features,
    learned on the people who are trained on.

    Raises:
        ConfigError: Nobody is labelled for the classes of the probe.
    """
    if not config.readout_every:
        return None
    gallery = None
    if config.psat_module is not None:
        gallery = build_gallery(
            workspace, list(config.watch), config.towers, config.captioner, max_crops=MAX_CROPS, seed=config.seed
        )
    probe = _Probe(config, workspace, image_size, device) if config.watch_classes else None

    def watch(kept: nn.Module) -> Rows:
        was_training = kept.training
        kept.eval()
        row: Rows = {}
        if gallery is not None and isinstance(kept, AlignedEncoder):
            row |= _ask(kept, gallery, config, device)
        if probe is not None:
            row |= probe(kept.encoder if isinstance(kept, AlignedEncoder) else kept)
        kept.train(was_training)
        return {"watched": row}

    return watch


@torch.no_grad()
def _ask(model: AlignedEncoder, gallery: Gallery, config: PretrainConfig, device: torch.device) -> Rows:
    """Localisation, retrieval and gap of one gallery."""
    match = "image" if config.no_text else config.match
    right = answer(model, gallery, gallery.crops, device)
    wrong = answer(model, gallery, gallery.wrong, device)
    found, lost = (
        localize(answers, gallery.features, gallery.visible, gallery.places_mm, match) for answers in (right, wrong)
    )
    shown = gallery.visible
    images, texts = (side[shown] for side in gallery.features)
    by_image, by_text = (side[shown] for side in right)
    return {
        "localization_mm": found.mean_mm,
        "wrong_volume_mm": lost.mean_mm,
        "blind_guess_mm": blind_guess(shown, gallery.places_mm).mean_mm,
        "crop_recall_at_1": found.crop_recall_at_1,
        "image_recall": _recall(by_image, images),
        "text_recall": _recall(by_text, texts),
        "modality_gap": centroid_gaps({"image": images, "text": texts, "volume": by_image}),
        "crops": found.gallery,
        "slices": found.slices,
    }


def _recall(answers: torch.Tensor, features: torch.Tensor) -> dict[str, float]:
    return {f"at_{k}": value for k, value in retrieval(answers, features).recall.items()}


class _Probe:
    """A linear probe and nearest neighbours on frozen voxel features."""

    def __init__(self, config: PretrainConfig, workspace: Workspace, image_size: int, device: torch.device) -> None:
        entries = tuple({"name": name, "match": list(match)} for name, match in config.watch_classes.items())
        self.store = VoxelStore(workspace.prepared)
        labelled = [
            case
            for case in self.store.cases.values()
            if case.has_label and all(annotated_classes(case.label_names, list(entries)))
        ]
        away = set(config.held_out)
        self.train = [case for case in labelled if case.subject not in away]
        self.test = [case for case in labelled if case.subject in config.watch]
        if not self.train or not self.test:
            side = "trained on" if not self.train else "watched"
            raise ConfigError(
                f"nobody who is {side} is labelled for all of pretrain.watch_classes", "name other classes"
            )
        self.draw = Draw(entries, VOXELS_PER_CLASS, config.seed)
        self.size, self.device = image_size, device

    def __call__(self, encoder: nn.Module) -> Rows:
        """Returns the probe's mean AUC over the classes, and the accuracy of the nearest neighbours."""
        sides = [
            tissue_features(encoder, self.store, cases, self.draw, self.size, self.device)
            for cases in (self.train, self.test)
        ]
        if any(len(np.unique(classes)) < 2 for _, classes in sides):
            return {"probe_auc": None, "knn_accuracy": None}
        (features, classes), (test_features, test_classes) = sides
        auc = list(probe_auc(features, classes, test_features, test_classes).values())
        known = np.unique(classes)
        predicted = known[votes(features, classes, test_features, known, neighbours=NEIGHBOURS).argmax(1)]
        return {
            "probe_auc": float(np.mean(auc)) if auc else None,
            "knn_accuracy": float((predicted == test_classes).mean()),
        }
