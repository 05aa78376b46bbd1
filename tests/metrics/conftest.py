"""Masks that tests of metrics share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

Blobs = Callable[..., NDArray[np.uint8]]


def blobs(
    seed: int, shape: tuple[int, int, int] = (40, 36, 30), classes: int = 3, shift: float = 0.0
) -> NDArray[np.uint8]:
    """Overlapping ellipsoids with wavy surfaces, one a class; ``shift`` moves them along x."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*(np.arange(length) for length in shape), indexing="ij")
    wave = 0.15 * np.sin(grid[0] / 3 + seed) * np.cos(grid[1] / 4) * np.sin(grid[2] / 2)
    labels = np.zeros(shape, dtype=np.uint8)
    for label in range(1, classes + 1):
        centre = [rng.uniform(0.3, 0.7) * length for length in shape]
        radius = [rng.uniform(0.15, 0.35) * length for length in shape]
        centre[0] += shift
        inside = sum(((axis - c) / r) ** 2 for axis, c, r in zip(grid, centre, radius, strict=True)) + wave < 1
        labels[inside] = label
    return labels


@pytest.fixture(name="blobs")
def blobs_fixture() -> Blobs:
    """The function :func:`blobs`."""
    return blobs
