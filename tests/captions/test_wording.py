"""Places in words, at the borders between them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from med3dinsight.captions.wording import place, slice_place, symmetry
from med3dinsight.slices.rendering import SliceView
from med3dinsight.types import Plane


def picture(plane: Plane, **changes: object) -> SliceView:
    """A picture of 100 pixels that is all body, and all of the body."""
    pixels = np.zeros((100, 100), dtype=np.uint8)
    edges = ((0, 100), (0, 100), (0, 100), (0, 100))
    view = SliceView(pixels, pixels == 0, "ct", plane, (-1000, 1000), (3, 3), 0.5, 0.5, *edges, in_hounsfield=True)
    return replace(view, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("plane", "row", "column", "words"),
    [
        (Plane.AXIAL, 10, 10, "at the right front"),
        (Plane.AXIAL, 90, 90, "at the left back"),
        (Plane.AXIAL, 10, 50, "in the midline at the front"),
        (Plane.AXIAL, 50, 90, "on the left side"),
        (Plane.AXIAL, 50, 50, "in the centre"),
        (Plane.CORONAL, 10, 10, "in the upper right"),
        (Plane.CORONAL, 90, 50, "in the lower middle"),
        (Plane.CORONAL, 50, 10, "on the right side"),
        (Plane.SAGITTAL, 10, 10, "in the upper front"),
        (Plane.SAGITTAL, 50, 90, "at the back"),
    ],
)
def test_places_are_the_patients(plane: Plane, row: float, column: float, words: str) -> None:
    assert place(picture(plane), row, column) == words


def test_a_place_is_told_in_the_whole_body_also_where_the_picture_shows_a_part() -> None:
    part = picture(Plane.AXIAL, body_columns=(-200.0, 100.0))
    assert place(part, 50, 10) == "on the left side", "the picture's left edge is near the patient's left side here"


def test_slices_are_placed_along_the_body() -> None:
    words = [slice_place(picture(Plane.SAGITTAL, body_position=at)) for at in (0.05, 0.3, 0.5, 0.95)]
    assert words == [
        "at the far left of the body",
        "through the left half of the body",
        "in the midline of the body",
        "at the far right of the body",
    ]
    assert slice_place(picture(Plane.CORONAL, body_position=0.95)) == "near the front surface of the body"


def test_symmetry_is_judged_about_the_bodys_midline() -> None:
    halves = np.zeros((100, 100), dtype=np.float32)
    halves[:, 20:60] = 1.0
    assert symmetry(picture(Plane.AXIAL, body_columns=(-10.0, 90.0)), halves) == "nearly symmetric"
    assert symmetry(picture(Plane.AXIAL), halves) == "right and left differ much"
    assert symmetry(picture(Plane.SAGITTAL), halves) == ""
    assert symmetry(picture(Plane.AXIAL, body_columns=(-90.0, 100.0)), halves) == "", (
        "hardly any of the right half in view"
    )
