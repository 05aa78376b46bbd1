"""Rows of a manifest for volumes that a test makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from med3dinsight.records import Case


def make_case(shape: tuple[int, int, int], *, name: str = "case", spacing: float = 3.0, **changes: Any) -> Case:
    """A case whose scan is the whole volume unless ``changes`` say otherwise."""
    affine = tuple(
        tuple(spacing if row == column and row < 3 else float(row == column == 3) for column in range(4))
        for row in range(4)
    )
    values: dict[str, Any] = {
        "id": name,
        "subject": name,
        "image": f"{name}.nii.gz",
        "modality": "ct",
        "modality_guessed": False,
        "shape": shape,
        "spacing_mm": (spacing,) * 3,
        "affine": affine,
        "source_shape": shape,
        "source_affine": affine,
        "source_sha256": "",
        "voxel_sha256": name,
        "window": (-1000.0, 1000.0),
        "offset": 0,
        "has_label": False,
    }
    return Case(**{**values, **changes})


@pytest.fixture
def case() -> Callable[..., Case]:
    """``case(shape, **fields)`` makes a row of the manifest."""
    return make_case
