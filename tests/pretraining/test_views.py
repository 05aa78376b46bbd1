from __future__ import annotations

import numpy as np
import pytest
from learned_workspace import CROP

from med3dinsight.pretraining.views import change_look, draw_shift, draw_view, plain_look, plain_looks
from med3dinsight.records import Crop
from med3dinsight.training.augmentation import contrast_curve


def shifts(shape: tuple[int, int, int], crop: Crop) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.array([draw_shift(rng, shape, crop) for _ in range(400)])


def test_a_view_moves_by_a_quarter_of_the_edge_and_stays_in_the_volume() -> None:
    moved = shifts((100, 34, 35), Crop("a", (40, 1, 0), 32))
    assert (moved.min(0).tolist(), moved.max(0).tolist()) == ([-8, -1, 0], [8, 1, 3])


def test_an_axis_without_room_moves_a_little_beyond_the_ends() -> None:
    moved = shifts((32, 20, 33), Crop("a", (0, -6, 0), 32))
    assert (moved.min(0).tolist(), moved.max(0).tolist()) == ([-4, -4, 0], [4, 4, 1])


def test_looks_stay_in_range_and_some_are_left_as_they_are() -> None:
    rng = np.random.default_rng(0)
    view = rng.random((16, 16, 16), dtype=np.float32)
    looks = [change_look(rng, view) for _ in range(60)]
    assert all(look.min() >= 0 and look.max() <= 1 and look.dtype == np.float32 for look in looks)
    untouched = sum(np.array_equal(look, view) for look in looks)
    assert 1 <= untouched <= 20
    cut = [look == 0 for look in looks if (look == 0).sum() > 8]
    assert 15 <= len(cut) <= 45
    assert max(part.mean() for part in cut) <= 0.4**3


def test_views_of_a_crop_differ_and_are_drawn_by_the_generator(make) -> None:
    objective, pool = make("simclr")
    crop = next(iter(pool.rows["anna"]))
    one, again, other = (draw_view(np.random.default_rng(seed), objective.config, pool, crop) for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert one.shape == (CROP,) * 3


@pytest.mark.parametrize("method", ["simclr", "mae"])
def test_nothing_is_mirrored(make, method: str) -> None:
    """Over many views the brightest side of a crop stays where it is: left is never right."""
    objective, pool = make(method, contrast_augmentation=0.2)
    crop = next(iter(pool.rows["anna"]))
    whole = pool.voxels(crop).astype(float)
    slope = np.array([np.gradient(whole.mean(axes)).mean() for axes in ((1, 2), (0, 2), (0, 1))])
    axis = int(np.abs(slope).argmax())
    look = draw_view if method == "simclr" else plain_look
    rng = np.random.default_rng(0)
    others = tuple(other for other in range(3) if other != axis)
    seen = [np.gradient(look(rng, objective.config, pool, crop).mean(others)).mean() for _ in range(40)]
    assert np.mean(np.sign(seen) == np.sign(slope[axis])) > 0.8


@pytest.mark.parametrize("strength", [0.0, 0.4])
def test_the_looks_of_a_step_are_those_of_its_crops_one_by_one(make, strength: float) -> None:
    objective, pool = make("mae", contrast_augmentation=strength, shift_voxels=2)
    crops = [crop for person in pool.subjects for crop in pool.rows[person]][:3]
    volumes, shifts = plain_looks(np.random.default_rng(5), objective.config, pool, crops)
    one_by_one, by_table = np.random.default_rng(5), np.random.default_rng(5)
    for crop, volume, shift in zip(crops, volumes.numpy()[:, 0], shifts, strict=True):
        assert np.array_equal(volume, plain_look(one_by_one, objective.config, pool, crop))
        assert np.array_equal(shift, by_table.integers(-2, 3, 3))
        assert np.array_equal(volume, contrast_curve(by_table, strength)[pool.voxels(crop, shift)])
