"""Where the body is in a scan."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from med3dinsight.records import Case
from med3dinsight.slices.outline import find_outline

MakeCase = Callable[..., Case]
AIR, TISSUE = 0, 134  # -1000 and 50 HU in the window of -1000 to 1000


def chest(shape: tuple[int, int, int] = (40, 30, 20)) -> NDArray[np.uint8]:
    """A block of tissue with two lungs that reach through all axial slices, above a thin table."""
    volume = np.full(shape, AIR, dtype=np.uint8)
    volume[5:35, 8:26] = TISSUE
    volume[9:18, 11:22] = volume[22:31, 11:22] = 19  # -850 HU
    volume[2:38, 3] = TISSUE
    return volume


def full_lookup(volume: NDArray[np.uint8], case: Case) -> NDArray[np.bool_]:
    return find_outline(volume, case).lookup(*(np.arange(length) for length in volume.shape))


def test_lungs_are_inside_the_body_and_the_air_and_table_around_it_are_not(case: MakeCase) -> None:
    volume = chest()
    expected = np.zeros(volume.shape, dtype=bool)
    expected[5:35, 8:26] = True
    np.testing.assert_array_equal(full_lookup(volume, case(volume.shape)), expected)


def test_the_box_is_the_bodys(case: MakeCase) -> None:
    outline = find_outline(chest(), case((40, 30, 20)))
    assert outline.low == (5.0, 8.0, 0.0)
    assert outline.high == (35.0, 26.0, 20.0)


def test_places_outside_of_the_volume_are_outside_of_the_body(case: MakeCase) -> None:
    outline = find_outline(np.full((8, 8, 8), TISSUE, dtype=np.uint8), case((8, 8, 8)))
    ramp = np.arange(-2, 10)
    assert outline.lookup(ramp, ramp, ramp).sum() == 8**3


@pytest.mark.parametrize("spacing", [1.5, 1.0, 0.6])
def test_a_finer_volume_has_the_same_body_within_a_coarse_voxel(case: MakeCase, spacing: float) -> None:
    times = round(3.0 / spacing)
    volume = chest().repeat(times, 0).repeat(times, 1).repeat(times, 2)
    found = full_lookup(volume, case(volume.shape, spacing=spacing))
    np.testing.assert_array_equal(
        found, full_lookup(chest(), case((40, 30, 20))).repeat(times, 0).repeat(times, 1).repeat(times, 2)
    )


def test_a_dark_mr_organ_is_inside_the_body(case: MakeCase) -> None:
    volume = np.full((40, 30, 20), 3, dtype=np.uint8)
    volume[5:35, 8:26] = 150
    volume[9:18, 11:22] = 12
    found = full_lookup(volume, case(volume.shape, modality="mr"))
    assert found[5:35, 8:26].all()
    assert found.sum() == 30 * 18 * 20


def test_an_empty_scan_has_no_body_and_its_whole_box(case: MakeCase) -> None:
    outline = find_outline(np.zeros((9, 8, 7), dtype=np.uint8), case((9, 8, 7)))
    assert not outline.mask.any()
    assert (outline.low, outline.high) == ((0.0, 0.0, 0.0), (9.0, 8.0, 7.0))
