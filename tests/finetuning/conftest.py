"""Cases that stand for no scan, training cases in a store of their own, and a workspace with pre-training runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learned_workspace import copy_of
from numpy.typing import NDArray

from med3dinsight.finetuning.labelled_volume import LabelledVolume, labelled_volume
from med3dinsight.records import Case
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.voxel_chunks import compress
from med3dinsight.workspace.voxel_store import VoxelStore, VoxelWriter
from med3dinsight.workspace.voxel_store_chunked import ChunkedWriter

IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
NAMES = ((1, "ball"), (2, "gap"))
#: The classes of cases with these names.
ENTRIES: list[dict[str, Any]] = [{"name": name, "match": [name]} for _, name in NAMES]
#: Voxels uint8 and labels of one case.
Arrays = tuple[NDArray[np.uint8], NDArray[Any]]


def case(subject: str, scan: str = "image", **changes: Any) -> Case:
    """A case called SUBJECT-SCAN."""
    name = f"{subject}-{scan}"
    values: dict[str, Any] = {
        "id": name,
        "subject": subject,
        "image": name,
        "modality": "ct",
        "modality_guessed": False,
        "shape": (4, 4, 4),
        "spacing_mm": (1.0, 1.0, 1.0),
        "affine": IDENTITY,
        "source_shape": (4, 4, 4),
        "source_affine": IDENTITY,
        "source_sha256": "",
        "voxel_sha256": f"voxels of {name}",
        "window": (0.0, 1.0),
        "offset": 0,
        "has_label": True,
        "label_names": NAMES,
    }
    return Case(**{**values, **changes})


def write_store(folder: Path, volumes: list[Arrays], *, chunked: bool, **changes: Any) -> VoxelStore:
    """Writes volumes and label maps as the cases ``p0-image``, ``p1-image``, ... of a store."""
    flat, chunks = (None, ChunkedWriter(folder)) if chunked else (VoxelWriter(folder), None)
    for number, (voxels, label) in enumerate(volumes):
        row, labels = case(f"p{number}", shape=voxels.shape, **changes), label.astype(np.uint16)
        if flat is not None:
            flat.append(row, voxels, labels)
        if chunks is not None:
            chunks.append(row, compress(voxels), compress(labels))
    return VoxelStore(folder)


@pytest.fixture
def stored(tmp_path: Path) -> Callable[..., list[LabelledVolume]]:
    """Puts volumes and label maps into a chunked store: ``stored((voxels, label), ..., spacing_mm=...)``."""

    def write(*volumes: Arrays, **changes: Any) -> list[LabelledVolume]:
        store = write_store(tmp_path / "prepared", list(volumes), chunked=True, **changes)
        return [labelled_volume(store, row, ENTRIES) for row in store.cases.values()]

    return write


@pytest.fixture
def pretrained(pretrained_once: Path, tmp_path: Path) -> Workspace:
    """A copy of the workspace with pre-training runs, which have not seen cleo."""
    return copy_of(pretrained_once, tmp_path)
