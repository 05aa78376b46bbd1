"""Cases that stand for no scan."""

from __future__ import annotations

from typing import Any

from med3dinsight.records import Case

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
