"""Cases that stand for no scan, and a workspace with pre-training runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from learned_workspace import copy_of

from med3dinsight.records import Case
from med3dinsight.workspace import Workspace

IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
NAMES = ((1, "ball"), (2, "gap"))


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


@pytest.fixture
def pretrained(pretrained_once: Path, tmp_path: Path) -> Workspace:
    """A copy of the workspace with pre-training runs, which have not seen cleo."""
    return copy_of(pretrained_once, tmp_path)
