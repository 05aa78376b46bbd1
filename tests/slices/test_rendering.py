"""What a captioner gets to see of a slice."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from med3dinsight.records import Case, Crop, SliceRef
from med3dinsight.slices.outline import find_outline
from med3dinsight.slices.rendering import SliceView, png, render
from med3dinsight.types import Plane

MakeCase = Callable[..., Case]
SHAPE = (30, 24, 20)


def view(case: Case, crop: Crop, plane: Plane, index: int) -> SliceView:
    """A block of body from 6 to 26, 4 to 20, over the whole length."""
    volume = np.zeros(case.shape, dtype=np.uint8)
    volume[6:26, 4:20] = 134
    return render(volume, case, find_outline(volume, case), SliceRef(crop, plane, index))


def test_positions_are_told_in_the_whole_scan_and_body_and_not_in_the_crop(case: MakeCase) -> None:
    here = view(case(SHAPE), Crop("case", (10, 3, 1), 16), Plane.SAGITTAL, 5)
    there = view(case(SHAPE), Crop("case", (2, 7, 3), 16), Plane.SAGITTAL, 13)
    assert here.position == there.position == pytest.approx(15.5 / 30)
    assert here.body_position == there.body_position == pytest.approx(9.5 / 20)


def test_the_bodys_box_is_told_in_pixels_of_the_picture(case: MakeCase) -> None:
    shown = view(case(SHAPE), Crop("case", (10, 3, 1), 16), Plane.AXIAL, 5)
    assert shown.body_columns == (0.0, 20.0), "the body goes on beyond the picture on the patient's left"
    assert shown.body_rows == (-1.0, 15.0)
    np.testing.assert_array_equal(shown.body.any(axis=0), np.arange(16) < 20)
    np.testing.assert_array_equal(shown.body.any(axis=1), np.arange(16) < 15)


def test_padding_of_a_cube_counts_as_no_part_of_the_scan(case: MakeCase) -> None:
    flat = case(
        (20, 20, 20), source_shape=(20, 20, 8), source_affine=((3, 0, 0, 0), (0, 3, 0, 0), (0, 0, 3, 18), (0, 0, 0, 1))
    )
    crop = Crop("case", (0, 0, 0), 20)
    assert view(flat, crop, Plane.AXIAL, 6).position == pytest.approx(0.5 / 8)
    shown = view(flat, crop, Plane.CORONAL, 10)
    assert shown.scan_rows == (6, 14)
    assert shown.scan_columns == (0, 20)


def test_without_padding_only_the_scan_is_left_and_places_stay(case: MakeCase) -> None:
    shown = view(case(SHAPE), Crop("case", (10, -4, -6), 32), Plane.CORONAL, 10)
    inner = shown.without_padding()
    assert inner.pixels.shape == inner.body.shape == (20, 20)
    assert (inner.scan_rows, inner.scan_columns) == ((0, 20), (0, 20))
    assert inner.body_columns[0] - shown.body_columns[0] == -shown.scan_columns[0]
    np.testing.assert_array_equal(inner.pixels, np.where(inner.body, 134, 0))


def test_a_source_stored_the_other_way_round_covers_the_same_scan(case: MakeCase) -> None:
    mirrored = case(SHAPE, source_affine=((-3, 0, 0, 87), (0, 3, 0, 0), (0, 0, -3, 57), (0, 0, 0, 1)))
    crop = Crop("case", (10, -4, -6), 32)
    assert view(mirrored, crop, Plane.CORONAL, 10).scan_rows == view(case(SHAPE), crop, Plane.CORONAL, 10).scan_rows


def test_a_slice_beside_the_body_shows_none(case: MakeCase) -> None:
    crop = Crop("case", (0, 0, 0), 20)
    assert not view(case(SHAPE), crop, Plane.SAGITTAL, 2).shows_body
    assert view(case(SHAPE), crop, Plane.SAGITTAL, 8).shows_body
    assert not view(case(SHAPE), Crop("case", (0, 0, -40), 20), Plane.AXIAL, 3).without_padding().shows_body


def test_a_png_holds_the_same_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (5, 7), dtype=np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(pixels)))), pixels)
    colours = np.stack([pixels] * 3, axis=-1)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png(colours)))), colours)


def test_a_png_shows_tall_pixels_tall() -> None:
    picture = Image.open(io.BytesIO(png(np.zeros((5, 7), dtype=np.uint8), row_stretch=2.5, scale=2)))
    assert picture.size == (14, 25)
