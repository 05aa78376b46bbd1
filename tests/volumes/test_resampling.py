"""Resampling against scipy, SimpleITK and torch; grids against what their description says."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from med3dinsight.errors import InputError
from med3dinsight.volumes.resampling import (
    Grid,
    cube_grid,
    interpolation_matrix,
    native_grid,
    resample,
    resample_labels,
)

SHAPES = st.tuples(*[st.integers(2, 12)] * 3)
SPACINGS = st.tuples(*[st.floats(0.5, 5)] * 3)


def noise(shape=(11, 9, 7)):
    return np.random.default_rng(3).normal(size=shape).astype(np.float32)


def itk_image(array, spacing):
    image = SimpleITK.GetImageFromArray(array.transpose(2, 1, 0))
    image.SetSpacing(spacing)
    return image


def itk_resample(array, spacing, grid: Grid, interpolator):
    start = [offset * step for offset, step in zip(grid.offset, spacing, strict=True)]
    steps = [scale * step for scale, step in zip(grid.scale, spacing, strict=True)]
    image = SimpleITK.Resample(
        itk_image(array, spacing), grid.shape, SimpleITK.Transform(), interpolator, start, steps, np.eye(3).ravel(), 0.0
    )
    return SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0)


@pytest.mark.parametrize("protocol", ["native", "cube"])
def test_linear_interpolation_agrees_with_simpleitk_in_one_step(protocol):
    spacing = (0.7, 1.3, 2.9)
    grid = native_grid((11, 9, 7), spacing, 1.7) if protocol == "native" else cube_grid((11, 9, 7), spacing, 14)
    ours = resample(noise(), grid, antialias=False)
    assert np.abs(ours - itk_resample(noise(), spacing, grid, SimpleITK.sitkLinear)).max() < 1e-5
    assert np.abs(ours).max() > 0.5


def test_interpolation_to_a_finer_grid_agrees_with_scipy():
    grid = native_grid((11, 9, 7), (2.0, 2.5, 3.0), 0.9)
    places = np.meshgrid(*(grid.positions(axis) for axis in range(3)), indexing="ij")
    expected = map_coordinates(noise(), places, order=1, mode="nearest")
    assert np.abs(resample(noise(), grid) - expected).max() < 1e-5


@pytest.mark.parametrize("size", [3, 5, 8])
def test_a_coarser_grid_is_antialiased_as_by_torch(size):
    grid = Grid((size, 9, size), (12 / size, 1.0, 12 / size), ((12 / size - 1) / 2, 0.0, (12 / size - 1) / 2))
    array = noise((12, 9, 12))
    planes = torch.from_numpy(array.transpose(1, 0, 2))[:, None]
    expected = torch.nn.functional.interpolate(planes, (size, size), mode="bilinear", antialias=True)
    assert np.abs(resample(array, grid) - expected[:, 0].numpy().transpose(1, 0, 2)).max() < 1e-5


def test_antialiasing_takes_away_what_the_grid_cannot_show():
    stripes = np.tile(np.array([0, 1], dtype=np.float32), 20)[:, None, None] * np.ones((40, 4, 4), dtype=np.float32)
    grid = native_grid((40, 4, 4), (1.0, 1.0, 1.0), 4.0)
    assert resample(stripes, grid, antialias=True)[1:-1].std() < 0.05


@given(SHAPES, SPACINGS, st.floats(0.5, 5))
def test_a_constant_stays_constant_on_a_native_grid(shape, spacing, target):
    array = np.full(shape, 7, dtype=np.int16)
    assert resample(array, native_grid(shape, spacing, target)) == pytest.approx(7, abs=1e-4)


@given(SHAPES, SPACINGS, st.integers(4, 20))
def test_a_cube_holds_the_whole_scan_in_its_middle_and_zeros_around_it(shape, spacing, size):
    extents = [length * step for length, step in zip(shape, spacing, strict=True)]
    edge = max(extents) / size
    assume(min(extents) >= edge)
    result = resample(np.ones(shape, dtype=np.float32), cube_grid(shape, spacing, size))
    assert set(np.unique(result.round(4))) <= {0.0, 1.0}
    assert np.allclose(result, result[::-1, ::-1, ::-1])
    for axis in range(3):
        covered = result.any(axis=tuple({0, 1, 2} - {axis})).sum()
        assert abs(covered - extents[axis] / edge) <= 1.001


def test_a_scan_thinner_than_a_voxel_of_the_cube_is_refused():
    with pytest.raises(InputError, match=r"it is 4\.0 mm thin, less than one voxel \(5\.0 mm\)"):
        cube_grid((160, 160, 2), (1.0, 1.0, 2.0), 32)


@given(SHAPES, SPACINGS, st.floats(0.5, 5))
def test_a_grid_lies_on_the_middle_of_the_array(shape, spacing, target):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = (5, -6, 7)
    for grid in (native_grid(shape, spacing, target), cube_grid(shape, spacing, 64)):
        middle = grid.affine(affine) @ [*((length - 1) / 2 for length in grid.shape), 1]
        assert middle == pytest.approx(affine @ [*((length - 1) / 2 for length in shape), 1], abs=1e-9)


def test_the_affine_of_a_grid_says_where_its_voxels_come_from():
    ramp = np.arange(20, dtype=np.float32)[:, None, None] * np.ones((20, 5, 5), dtype=np.float32)
    affine = np.diag([1.5, 2.0, 2.0, 1.0])
    affine[:3, 3] = (100, 0, 0)
    grid = native_grid((20, 5, 5), (1.5, 2.0, 2.0), 2.0)
    result = resample(ramp, grid, antialias=False)
    world = (grid.affine(affine) @ [6, 0, 0, 1])[0]
    assert result[6, 2, 2] == pytest.approx((world - 100) / 1.5, abs=1e-4)


def test_the_window_clips_before_anything_is_mixed():
    array = np.full((4, 4, 4), -2048, dtype=np.int16)
    array[2:] = 1000
    halves = resample(array, Grid((2, 4, 4), (2.0, 1.0, 1.0), (0.5, 0.0, 0.0)), (-1000, 1000), antialias=False)
    assert halves[:, 0, 0].tolist() == [0, 1]
    between = resample(array, Grid((1, 4, 4), (1.0, 1.0, 1.0), (1.5, 0.0, 0.0)), (-1000, 1000))
    assert between[0, 0, 0] == pytest.approx(0.5)


def test_any_memory_order_and_type_gives_the_same():
    grid = native_grid((11, 9, 7), (1.0, 1.0, 2.0), 1.5)
    whole = (noise() * 100).astype(np.int16)
    expected = resample(whole, grid)
    for twin in (np.asfortranarray(whole), whole.astype(np.float64), whole[::-1].copy()[::-1]):
        assert np.allclose(resample(twin, grid), expected, atol=1e-4)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
@pytest.mark.parametrize("flips", [(), (0,), (0, 2)])
def test_long_axes_turned_and_flipped_agree_with_the_whole_product(axes, flips):
    whole = np.flip(np.random.default_rng(5).normal(size=(70, 41, 90)).transpose(axes), flips)
    for grid in (cube_grid(whole.shape, (0.7, 2.0, 1.1), 64), native_grid(whole.shape, (0.7, 2.0, 1.1), 0.9)):
        x, y, z = (
            interpolation_matrix(whole.shape[axis], grid.positions(axis), max(1, grid.scale[axis])) for axis in range(3)
        )
        expected = np.einsum("ai,bj,ck,ijk->abc", x, y, z, whole, optimize=True)
        assert np.abs(resample(whole, grid) - expected).max() < 1e-5


def test_a_scan_that_lies_outside_of_the_grid_gives_zeros():
    grid = Grid((40, 20, 20), (1.0, 1.0, 1.0), (100.0, -3.0, 0.0))
    assert not resample(noise(), grid).any()
    beside = resample(noise(), Grid((40, 4, 4), (1.0, 1.0, 1.0), (-35.0, 0.0, 0.0)), (-1.0, 1.0))
    assert not beside[:34].any() and beside[35:].any()


def test_work_in_slabs_gives_the_same(monkeypatch):
    grid = cube_grid((11, 9, 7), (1.0, 1.0, 2.0), 9)
    expected = resample(noise(), grid)
    monkeypatch.setattr("med3dinsight.volumes.resampling._SLAB_VOXELS", 200)
    assert np.allclose(resample(noise(), grid), expected, atol=1e-6)


@pytest.mark.parametrize("protocol", ["native", "cube"])
def test_labels_are_taken_from_the_nearest_voxel_as_by_simpleitk(protocol):
    labels = np.random.default_rng(4).integers(0, 900, (11, 9, 7)).astype(np.uint16)
    spacing = (0.7, 1.3, 2.9)
    grid = native_grid((11, 9, 7), spacing, 1.7) if protocol == "native" else cube_grid((11, 9, 7), spacing, 14)
    ours = resample_labels(labels, grid)
    assert np.array_equal(ours, itk_resample(labels, spacing, grid, SimpleITK.sitkNearestNeighbor))


def test_rows_of_the_matrix_sum_to_one_inside_and_zero_outside():
    positions = np.array([-0.6, -0.5, 0.0, 2.2, 4.5, 4.6])
    assert interpolation_matrix(5, positions, 1.8).sum(axis=1) == pytest.approx([0, 1, 1, 1, 1, 0])


def test_a_grid_too_large_for_any_machine_is_refused():
    with pytest.raises(InputError, match=r"at 0\.01 mm"):
        native_grid((512, 512, 200), (1.0, 1.0, 1.0), 0.01)
