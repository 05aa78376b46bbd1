"""Slices lie in the picture as a radiologist's viewer shows them."""

from __future__ import annotations

import numpy as np
import pytest

from med3dinsight.records import Crop, SliceRef
from med3dinsight.slices.pixels import displayed, in_proportion, slice_pixels
from med3dinsight.types import Plane

RIGHT, FRONT, HEAD = 5, 7, 9
SHAPE = (RIGHT + 1, FRONT + 1, HEAD + 1)


@pytest.mark.parametrize(
    ("plane", "top", "left"),
    [
        (Plane.AXIAL, (3, FRONT, 4), (RIGHT, 3, 4)),
        (Plane.CORONAL, (3, 3, HEAD), (RIGHT, 3, 4)),
        (Plane.SAGITTAL, (3, 3, HEAD), (3, FRONT, 4)),
    ],
)
def test_marks_of_the_patient_lie_where_a_viewer_shows_them(
    plane: Plane, top: tuple[int, int, int], left: tuple[int, int, int]
) -> None:
    volume = np.zeros(SHAPE, dtype=np.uint8)
    volume[top], volume[left] = 1, 2
    rows = {
        mark: np.argwhere(displayed(volume, plane, place[plane.axis]) == mark) for mark, place in ((1, top), (2, left))
    }
    assert rows[1][0][0] == 0, "the mark at the front or head is in the first row"
    assert rows[2][0][1] == 0, "the mark at the right or front is in the first column"


def test_an_axial_picture_has_one_row_a_voxel_from_front_to_back() -> None:
    assert displayed(np.zeros((3, 4, 5)), Plane.AXIAL, 0).shape == (4, 3)
    assert displayed(np.zeros((3, 4, 5)), Plane.CORONAL, 0).shape == (5, 3)
    assert displayed(np.zeros((3, 4, 5)), Plane.SAGITTAL, 0).shape == (5, 4)


@pytest.mark.parametrize("plane", Plane)
def test_a_slice_of_a_crop_is_the_same_slice_of_the_volume_padded_with_zeros(plane: Plane) -> None:
    volume = np.random.default_rng(0).integers(1, 255, SHAPE, dtype=np.uint8)
    padded = np.pad(volume, 4)
    crop = Crop("a", (-2, -3, 1), 8)
    pixels = slice_pixels(volume, SliceRef(crop, plane, 3))
    expected = displayed(padded[2:10, 1:9, 5:13], plane, 3)
    np.testing.assert_array_equal(pixels, expected)


def test_a_slice_outside_of_the_volume_is_black() -> None:
    volume = np.full(SHAPE, 9, dtype=np.uint8)
    assert not slice_pixels(volume, SliceRef(Crop("a", (0, 0, -8), 8), Plane.AXIAL, 2)).any()


def test_a_square_picture_of_square_pixels_is_left_as_it_is() -> None:
    picture = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert in_proportion(picture, (2.0, 2.0)) is picture


@pytest.mark.parametrize("spacing", [(3.0, 1.0), (1.0, 2.5), (1.5, 4.5)])
def test_what_is_round_in_mm_is_round_in_the_picture(spacing: tuple[float, float]) -> None:
    down, across = ((np.arange(round(90 / edge)) + 0.5) * edge - 45 for edge in spacing)
    disc = np.where(down[:, None] ** 2 + across**2 < 30**2, 255, 0).astype(np.uint8)
    lit = np.argwhere(in_proportion(disc, spacing) > 127)
    height, width = lit.max(axis=0) - lit.min(axis=0) + 1
    assert height * min(spacing) == pytest.approx(60, abs=2 * max(spacing))
    assert width * min(spacing) == pytest.approx(60, abs=2 * max(spacing))


def test_a_wide_picture_is_padded_in_the_middle() -> None:
    padded = in_proportion(np.full((2, 6), 9, dtype=np.uint8), (1.0, 1.0))
    assert padded.shape == (6, 6) and padded.any(axis=1).tolist() == [False, False, True, True, False, False]
