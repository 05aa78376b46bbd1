from __future__ import annotations

from collections.abc import Callable

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from med3dinsight.metrics import surface_distance
from med3dinsight.metrics.surface_distance import (
    hausdorff95,
    normalized_surface_dice,
    surface_distances,
    surface_voxels,
)

SPACINGS = [(1.0, 1.0, 1.0), (0.7, 0.7, 2.5), (3.0, 1.5, 0.1)]
Mask = NDArray[np.uint8]


def measure(first: Mask, second: Mask, spacing: tuple[float, ...], tolerance: float) -> tuple[float, float]:
    surfaces = [surface_voxels(mask, [1])[1] for mask in (first, second)]
    distances = surface_distances(surfaces[0], surfaces[1], first.shape, spacing, tolerance)
    return hausdorff95(*distances), normalized_surface_dice(*distances, tolerance)


def by_distance_transform(
    first: Mask, second: Mask, spacing: tuple[float, ...], tolerance: float
) -> tuple[float, float]:
    """The definitions, written down with scipy's erosion and distance transform over the whole image."""
    edges = [mask.astype(bool) & ~ndimage.binary_erosion(mask) for mask in (first, second)]
    to_edge = [ndimage.distance_transform_edt(~edge, sampling=spacing) for edge in edges]
    sets = to_edge[1][edges[0]], to_edge[0][edges[1]]
    within = sum(np.count_nonzero(distances <= tolerance + 1e-6) for distances in sets)
    return max(np.percentile(distances, 95) for distances in sets), within / sum(map(len, sets))


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=7), elements=st.integers(0, 3)))
def test_surfaces_are_what_an_erosion_takes_away(labels: Mask) -> None:
    for value, voxels in surface_voxels(labels, range(4)).items():
        mask = labels == value
        expected = np.flatnonzero(mask & ~ndimage.binary_erosion(mask))
        assert voxels.tolist() == expected.tolist()


@given(
    hnp.arrays(np.uint8, (2, 9, 6, 7), elements=st.integers(0, 1)),
    st.sampled_from(SPACINGS),
    st.sampled_from([0.0, 0.7, 1.0, 2.1, 3.0, 100.0]),
)
def test_wild_masks_measure_as_by_a_distance_transform(
    masks: Mask, spacing: tuple[float, float, float], tolerance: float
) -> None:
    assume(masks[0].any() and masks[1].any())
    expected = by_distance_transform(masks[0], masks[1], spacing, tolerance)
    assert measure(masks[0], masks[1], spacing, tolerance) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("shift", [0, 2, 5, 14])
@pytest.mark.parametrize("tolerance", [0.0, 2.0, 12.0])
def test_near_and_far_surfaces_measure_as_by_a_distance_transform(
    spacing: tuple[float, float, float], shift: int, tolerance: float, blobs: Callable[..., Mask]
) -> None:
    first, second = (blobs(3, classes=1, shift=move) for move in (0, shift))
    expected = by_distance_transform(first, second, spacing, tolerance)
    assert measure(first, second, spacing, tolerance) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_most_far_points_are_never_looked_up_one_by_one(
    monkeypatch: pytest.MonkeyPatch, blobs: Callable[..., Mask]
) -> None:
    asked = []

    class CountingTree(surface_distance.cKDTree):  # type: ignore[misc]
        def query(self, points: NDArray[np.float64]) -> object:
            asked.append(len(points))
            return super().query(points)

    monkeypatch.setattr(surface_distance, "cKDTree", CountingTree)
    truth, far = (blobs(3, shape=(120, 60, 60), classes=1, shift=move) for move in (-20, 30))
    surfaces = [surface_voxels(mask, [1])[1] for mask in (truth, far)]
    surface_distances(surfaces[0], surfaces[1], truth.shape, (1.0, 1.0, 1.0), 2.0)
    assert sum(asked) < 0.6 * sum(map(len, surfaces))


def test_a_distance_equal_to_the_tolerance_is_within_it_whatever_the_rounding() -> None:
    first, second = np.zeros((2, 9, 3, 3), np.uint8)
    first[1, 1, 1] = second[4, 1, 1] = 1
    assert 3 * 0.7 != 2.1
    for spacing, tolerance in ((0.7, 2.1), (0.1, 0.3), (float(np.float32(0.7)), 2.1)):
        assert measure(first, second, (spacing, 1.0, 1.0), tolerance)[1] == 1.0
        assert measure(first, second, (spacing, 1.0, 1.0), tolerance - 1e-3)[1] == 0.0


@given(hnp.arrays(np.uint8, (2, 6, 5, 4), elements=st.integers(0, 1)))
def test_swapping_the_masks_changes_nothing(masks: Mask) -> None:
    assume(masks[0].any() and masks[1].any())
    forth, back = (measure(masks[a], masks[1 - a], (1.0, 2.0, 3.0), 1.5) for a in (0, 1))
    assert forth == pytest.approx(back, abs=1e-12)
