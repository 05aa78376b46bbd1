from __future__ import annotations

import numpy as np
import pytest

from med3dinsight.report.pictures import MARKS, colour_of, css_colour, display_size, painted, windowed
from med3dinsight.slices.pixels import displayed
from med3dinsight.types import Plane

#: Half of a RAS+ volume that lies on the side of each mark.
HALVES = {
    "R": np.s_[5:, :, :],
    "L": np.s_[:5, :, :],
    "A": np.s_[:, 5:, :],
    "P": np.s_[:, :5, :],
    "S": np.s_[:, :, 5:],
    "I": np.s_[:, :, :5],
}


@pytest.mark.parametrize("plane", Plane)
def test_marks_stand_on_the_side_of_the_patient_that_they_name(plane: Plane) -> None:
    sides = (np.s_[:, :3], np.s_[:, -3:], np.s_[:3, :], np.s_[-3:, :])
    for mark, side in zip(MARKS[plane], sides, strict=True):
        volume = np.zeros((10, 10, 10), dtype=np.uint8)
        volume[HALVES[mark]] = 1
        assert displayed(volume, plane, 5)[side].all(), mark


def test_a_label_map_is_painted_where_it_is_in_its_own_colour() -> None:
    grey = np.full((10, 10), 100, dtype=np.uint8)
    classes = np.zeros((10, 10), dtype=np.uint8)
    classes[2:8, 1:5] = 1
    picture = painted(grey, classes, (20, 20))
    assert picture.shape == (20, 20, 3)
    changed = (picture != 100).any(axis=2)
    assert changed[4:16, 2:10].all()
    assert changed.sum() == 12 * 8
    assert tuple(picture[4, 2]) == colour_of(1), "outline"
    middle = (100 + np.array(colour_of(1))) / 2
    assert np.abs(picture[9, 5] - middle).max() <= 1, "filled lightly"


def test_pictures_keep_the_proportions_of_the_patient() -> None:
    assert display_size((100, 100), (1.0, 1.0), 320, 340) == (320, 320)
    assert display_size((50, 100), (4.0, 1.0), 300, 10_000) == (300, 600)
    width, height = display_size((50, 100), (4.0, 1.0), 300, 300)
    assert (width, height) == (150, 300)


def test_ct_is_shown_in_a_soft_tissue_window_and_mr_in_its_own() -> None:
    values = np.array([[-2000.0, 50.0, 3000.0]])
    assert windowed(values, "ct", (-1000.0, 1000.0)).tolist() == [[0, 127, 255]]
    assert windowed(np.array([[0.0, 400.0]]), "mr", (0.0, 800.0)).tolist() == [[0, 127]]


def test_many_classes_have_colours_of_their_own() -> None:
    assert len({css_colour(index) for index in range(1, 40)}) == 39
