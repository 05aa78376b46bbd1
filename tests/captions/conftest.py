"""A phantom of a trunk, and workspaces prepared with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from med3dinsight.records import Case
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.provenance import StageRecord, write_record
from med3dinsight.workspace.voxel_store import VoxelWriter

SPACING = 4.0
SHAPE = (90, 70, 60)
AFFINE = tuple(
    tuple(SPACING if row == column < 3 else float(row == column == 3) for column in range(4)) for row in range(4)
)


def trunk() -> NDArray[np.float32]:
    """A trunk in HU, RAS+, 4 mm: fat, muscle, a large right lung and a small left one that end half way
    down, a spine of shell and marrow at the back, and on the left in the lower half a gas pocket in front.
    """
    x, y, z = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]

    def ellipse(centre: tuple[float, float], radii: tuple[float, float]) -> NDArray[np.bool_]:
        return np.asarray(((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 + 0 * z <= 1)

    hu = np.full(SHAPE, -1000.0, dtype=np.float32)
    hu[ellipse((45, 35), (40, 30))] = -100
    hu[ellipse((45, 35), (36, 26))] = 50
    upper = z + 0 * x + 0 * y >= 30
    hu[ellipse((62, 38), (14, 18)) & upper] = -850
    hu[ellipse((26, 38), (9, 14)) & upper] = -850
    hu[ellipse((45, 18), (5, 5))] = 500
    hu[ellipse((45, 18), (3, 3))] = 180
    hu[ellipse((28, 50), (5, 5)) & ~upper] = -1000
    return hu + np.random.default_rng(0).normal(0, 6, SHAPE).astype(np.float32)


def stored(hu: NDArray[np.float32], window: tuple[float, float] = (-1000.0, 1000.0)) -> NDArray[np.uint8]:
    """HU as a voxel store holds them."""
    return np.round(np.clip((hu - window[0]) / (window[1] - window[0]), 0, 1) * 255).astype(np.uint8)


def make_case(name: str, voxels: NDArray[np.uint8], **changes: Any) -> Case:
    """The row of a volume that is its whole scan."""
    import hashlib

    digest = hashlib.sha256(np.ascontiguousarray(voxels).tobytes()).hexdigest()
    values: dict[str, Any] = {
        "id": name,
        "subject": name,
        "image": f"{name}.nii.gz",
        "modality": "ct",
        "modality_guessed": False,
        "shape": voxels.shape,
        "spacing_mm": (SPACING,) * 3,
        "affine": AFFINE,
        "source_shape": voxels.shape,
        "source_affine": AFFINE,
        "source_sha256": "",
        "voxel_sha256": digest,
        "window": (-1000.0, 1000.0),
        "offset": 0,
        "has_label": False,
    }
    return Case(**{**values, **changes})


@pytest.fixture(scope="session")
def phantom() -> NDArray[np.float32]:
    """The trunk in HU."""
    return trunk()


@pytest.fixture
def case() -> Callable[..., Case]:
    """``case(name, voxels, **fields)`` makes a row of the manifest."""
    return make_case


@pytest.fixture
def prepared(tmp_path: Path) -> Callable[..., Workspace]:
    """``prepared({name: voxels}, protocol=..., folder=...)`` makes a workspace as ``prepare`` leaves it."""

    def prepare(volumes: dict[str, NDArray[np.uint8]], *, protocol: str = "native", folder: str = "work") -> Workspace:
        workspace = Workspace(tmp_path / folder, create=True)
        for name in ("manifest.jsonl", "voxels.u8", "labels.u16"):
            (workspace.prepared / name).unlink(missing_ok=True)
        writer = VoxelWriter(workspace.prepared)
        cases = [writer.append(make_case(name, voxels), voxels, None) for name, voxels in volumes.items()]
        digest = "-".join(case.voxel_sha256[:8] for case in cases)
        write_record(workspace.prepared, StageRecord("prepare", digest, {"protocol": protocol}, {}, 0.0))
        return workspace

    return prepare
