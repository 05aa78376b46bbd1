"""The targets of pre-training: projected 2D features of every slice, as ``embed`` left them or as it would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ..towers.model_folder import TUNED
from ..towers.projection import Projection, load_projections
from ..towers.registry import load_towers
from ..towers.tower import TowerPair
from ..training.precision import choose_device
from ..workspace import Workspace, feature_store
from ..workspace.caption_store import CaptionStore
from ..workspace.files import read_json
from ..workspace.provenance import read_record
from ..workspace.voxel_store import VoxelStore
from .by_crop import CropFeatures
from .on_demand import Features, FeaturesOnDemand

#: In a captioner's folder of features, where these are computed on demand: the identity of the towers.
DRAWN = "drawn.json"


def load_targets(
    workspace: Workspace, towers: str, captioner: str, *, texts_of: str | None = None
) -> tuple[Features, Features]:
    """Returns the projected, L2-normalised image and text features of all slices of the slice table.

    The text of a slice that has none is NaN. Where ``embed.when`` was "drawn", features are computed when rows are
    asked for, and kept in the workspace's memo.

    Args:
        workspace: Embedded.
        towers: Whose features.
        captioner: Whose projections, and whose texts unless ``texts_of`` is given.
        texts_of: Another captioner whose texts to project: a run on shuffled texts is asked with the true ones.

    Raises:
        WorkspaceError: ``embed`` has not run for these towers and this captioner.
    """
    folder = workspace.features / towers
    image, text = load_projections(folder / captioner / "projection.safetensors")
    record = read_record(folder / captioner)
    if record is not None and record.config.get("when") == "drawn":
        return _on_demand(workspace, folder / captioner, record.config, texts_of or captioner, (image, text))
    return _whole(folder, texts_of or captioner, image, text)


def _whole(folder: Path, texts_of: str, image: Projection, text: Projection) -> tuple[Tensor, Tensor]:
    images: Float[Tensor, "n e"] = image(feature_store.read(folder / "image.npy"))
    texts: Float[Tensor, "n e"] = text(feature_store.read(folder / texts_of / "text.npy"))
    return images, texts


def _on_demand(
    workspace: Workspace,
    folder: Path,
    config: dict[str, Any],
    texts_of: str,
    projections: tuple[Projection, Projection],
) -> tuple[FeaturesOnDemand, FeaturesOnDemand]:
    with CaptionStore(workspace.captions) as ledger:
        slices, written = ledger.slices(), ledger.texts(texts_of)
    texts = [written.get(ref.key) for ref in slices]

    def load() -> TowerPair:
        device = choose_device(config["device"])
        tuned = config["projection"] == "tuned" and (folder / TUNED).is_dir()
        model = str(folder / TUNED) if tuned else config["model"]
        return load_towers(config["towers"], device, model=model, hub=config["hub"])

    identity = read_json(folder / DRAWN)["towers"]
    crops = CropFeatures(workspace.features, identity, load, VoxelStore(workspace.prepared), slices, texts)
    image, text = projections
    width = text.matrix.shape[0]
    told = np.array([one is not None for one in texts])
    return (
        FeaturesOnDemand(image, slices, crops.rows, crops.images, np.ones(len(slices), dtype=bool)),
        FeaturesOnDemand(text, slices, crops.rows, lambda crop: crops.texts(crop, width), told),
    )
