from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, rotate

from med3dinsight.training.spatial_augmentation import Placement, draw_placement, placed_crop
from med3dinsight.workspace.voxel_store import cut

STRAIGHT = Placement(None, 1.0, (False, False, False))


@pytest.fixture
def volume() -> np.ndarray:
    """A smooth field of 40 x 36 x 32 voxels."""
    field = gaussian_filter(np.random.default_rng(0).normal(size=(40, 36, 32)), 2)
    return (255 * (field - field.min()) / np.ptp(field)).astype(np.float32)


def test_how_often_and_how_far_crops_are_turned_scaled_and_mirrored_is_nnunets() -> None:
    """Rotation .2 within 30 degrees, scaling .2 from .7 to 1.4, each axis mirrored with .5."""
    rng = np.random.default_rng(0)
    drawn = [draw_placement(rng) for _ in range(4000)]
    degrees = np.array([one.degrees for one in drawn if one.degrees is not None])
    scales = np.array([one.scale for one in drawn if one.scale != 1])
    for amount in (len(degrees), len(scales)):
        assert amount / 4000 == pytest.approx(0.2, abs=0.025)
    assert -30 <= degrees.min() < -29
    assert 29 < degrees.max() <= 30
    assert 0.7 <= scales.min() < 0.71
    assert 1.39 < scales.max() <= 1.4
    both = np.mean([one.degrees is not None and one.scale != 1 for one in drawn])
    assert both == pytest.approx(0.04, abs=0.012), "independent of each other"
    assert np.mean([one.mirrored for one in drawn], axis=0) == pytest.approx([0.5] * 3, abs=0.035)


@pytest.mark.parametrize("origin", [(5, 6, 7), (-4, 20, 25)])
def test_a_crop_that_is_not_turned_is_the_plain_one(volume: np.ndarray, origin: tuple[int, int, int]) -> None:
    plain = cut(volume, origin, (16, 16, 16))
    assert np.array_equal(placed_crop(partial(cut, volume), origin, 16, STRAIGHT, linear=True), plain)
    # By the other way, interpolating at whole voxels.
    nearly = Placement((0.0, 0.0, 1e-9), 1.0, (False, False, False))
    assert np.allclose(placed_crop(partial(cut, volume), origin, 16, nearly, linear=True), plain, atol=1e-3)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_mirroring_turns_one_axis_round(volume: np.ndarray, axis: int) -> None:
    mirrored = Placement(None, 1.0, tuple(place == axis for place in range(3)))  # type: ignore[arg-type]
    plain = cut(volume, (5, 6, 7), (16, 16, 16))
    assert np.array_equal(placed_crop(partial(cut, volume), (5, 6, 7), 16, mirrored, linear=True), np.flip(plain, axis))


def test_a_right_angle_moves_voxels_exactly(volume: np.ndarray) -> None:
    turned = replace(STRAIGHT, degrees=(0.0, 0.0, 90.0))
    crop = placed_crop(partial(cut, volume), (8, 8, 8), 15, turned, linear=True)
    plain = cut(volume, (8, 8, 8), (15, 15, 15))
    assert np.allclose(crop, np.rot90(plain, 1, axes=(1, 0)), atol=1e-3) or np.allclose(
        crop, np.rot90(plain, 1, axes=(0, 1)), atol=1e-3
    )


def test_a_turn_is_that_of_scipy_about_the_middle(volume: np.ndarray) -> None:
    cube = cut(volume, (4, 2, 0), (31, 31, 31))
    known = rotate(cube, 20, axes=(0, 1), reshape=False, order=1)[8:23, 8:23, 8:23]
    turns = [
        placed_crop(partial(cut, volume), (12, 10, 8), 15, replace(STRAIGHT, degrees=(0.0, 0.0, a)), linear=True)
        for a in (20, -20)
    ]
    assert min(float(np.abs(turn - known).max()) for turn in turns) < 1e-2


def test_a_body_that_is_turned_keeps_its_shape_whatever_the_voxels_are() -> None:
    spacing = (1.0, 1.5, 3.0)
    axes = [(np.arange(n) - (n - 1) / 2) * step for n, step in zip((48, 32, 16), spacing, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    ball = np.exp(-(x**2 + y**2 + z**2) / 200).astype(np.float32)
    turned = replace(STRAIGHT, degrees=(30.0, 30.0, 0.0))
    crop = placed_crop(partial(cut, ball), (16, 8, 0), 16, turned, linear=True, spacing_mm=spacing)
    assert np.abs(crop - cut(ball, (16, 8, 0), (16, 16, 16))).max() < 0.04
    assert np.abs(placed_crop(partial(cut, ball), (16, 8, 0), 16, turned, linear=True) - crop).max() > 0.1, (
        "in voxels it is sheared"
    )


def test_a_scale_above_one_makes_the_anatomy_smaller(volume: np.ndarray) -> None:
    ramp = np.broadcast_to(np.arange(40, dtype=np.float32)[:, None, None], (40, 36, 32)).copy()
    crop = placed_crop(partial(cut, ramp), (12, 10, 8), 15, replace(STRAIGHT, scale=1.4), linear=True)
    assert np.allclose(np.diff(crop[:, 7, 7]), 1.4, atol=1e-4)
    assert crop[7, 7, 7] == pytest.approx(19)


def test_corners_come_from_the_volume_and_beyond_it_is_zero() -> None:
    full = np.full((40, 40, 40), 7.0, np.float32)
    turned = replace(STRAIGHT, degrees=(30.0, 30.0, 30.0), scale=1.4)
    assert placed_crop(partial(cut, full), (14, 14, 14), 12, turned, linear=True).min() == pytest.approx(7)
    outside = placed_crop(partial(cut, full), (60, 60, 60), 12, turned, linear=True)
    assert outside.shape == (12, 12, 12)
    assert not outside.any()


def test_labels_keep_their_values_and_go_with_the_image() -> None:
    label = np.zeros((40, 40, 40), np.uint8)
    label[10:30, 12:28, 8:32] = 3
    turned = Placement((25.0, -10.0, 15.0), 0.8, (True, False, True))
    cropped = placed_crop(partial(cut, label), (8, 8, 8), 24, turned, linear=False)
    image = placed_crop(partial(cut, (label > 0).astype(np.float32)), (8, 8, 8), 24, turned, linear=True)
    assert set(np.unique(cropped)) == {0, 3}
    assert np.array_equal((image > 0.5)[np.abs(image - 0.5) > 0.3], (cropped == 3)[np.abs(image - 0.5) > 0.3])
