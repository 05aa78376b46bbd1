from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import label

from med3dinsight.pretraining.corruptions import (
    bezier_curve,
    change_intensities,
    hide_blocks,
    in_paint,
    local_shuffle,
    out_paint,
)

SHAPE = (28, 35, 30)


@pytest.fixture
def volume() -> np.ndarray:
    """A volume in which every voxel has a value of its own."""
    count = int(np.prod(SHAPE))
    return (np.random.default_rng(0).permutation(count) / count).reshape(SHAPE).astype(np.float32)


def drawn(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_of_blocks_is_hidden_whole(share: float) -> None:
    hidden = hide_blocks(drawn(0), (16, 24, 32), 8, share)
    blocks = hidden.reshape(2, 8, 3, 8, 4, 8).transpose(0, 2, 4, 1, 3, 5).reshape(24, -1)
    assert set(blocks.mean(1)) == {0.0, 1.0}
    assert blocks.mean(1).sum() == round(24 * share)


def test_blocks_at_the_far_end_are_cut_off_and_never_all_are_hidden() -> None:
    hidden = hide_blocks(drawn(1), (10, 9, 8), 8, 0.999)
    assert hidden.shape == (10, 9, 8)
    assert (~hidden).sum() > 0
    assert hide_blocks(drawn(1), (16, 16, 16), 8, 1e-6).sum() == 8**3


def test_in_painting_changes_boxes_of_a_sixth_to_a_third_of_the_edges(volume: np.ndarray) -> None:
    single = 0
    for seed in range(30):
        changed = in_paint(drawn(seed), volume) != volume
        assert 0 < changed.mean() < 5 / 27
        regions, count = label(changed, np.ones((3, 3, 3)))
        assert count <= 5
        for region in range(1, count + 1):
            where = np.argwhere(regions == region)
            edges = np.ptp(where, axis=0) + 1
            if len(where) == np.prod(edges):
                single += 1
                assert all(size // 6 <= edge <= size // 3 for edge, size in zip(edges, SHAPE, strict=True))
    assert single > 5, "boxes that touch no other were looked at"


def test_out_painting_leaves_boxes_and_makes_the_rest_noise(volume: np.ndarray) -> None:
    for seed in range(10):
        painted = out_paint(drawn(seed), volume)
        kept = painted == volume
        assert (3 / 7 - 0.05) ** 3 < kept.mean() < 5 * (4 / 7) ** 3
        assert abs(painted[~kept].mean() - 0.5) < 0.05
        assert painted[~kept].std() == pytest.approx(12**-0.5, rel=0.05)


def test_shuffling_moves_voxels_a_little_and_loses_none(volume: np.ndarray) -> None:
    shuffled = local_shuffle(drawn(0), volume)
    assert np.array_equal(np.sort(shuffled, axis=None), np.sort(volume, axis=None))
    assert 0.05 < (shuffled != volume).mean() < 0.9
    ramp = np.broadcast_to(np.linspace(0, 1, SHAPE[0], dtype=np.float32)[:, None, None], SHAPE).copy()
    moved = np.abs(local_shuffle(drawn(0), ramp) - ramp) * (SHAPE[0] - 1)
    # A window has at most a tenth of the edge; a voxel may be moved by several windows in turn.
    assert moved.max() > 0.5
    assert np.quantile(moved, 0.95) <= 3


def test_curves_rise_or_fall_from_end_to_end() -> None:
    curves = np.stack([bezier_curve(drawn(seed)) for seed in range(40)])
    assert curves.min() >= 0
    assert curves.max() <= 1
    rising = curves[:, -1] == 1
    assert 10 < rising.sum() < 30
    for curve, up in zip(curves, rising, strict=True):
        steps = np.diff(curve) if up else -np.diff(curve)
        assert steps.min() > -1e-6
        assert {float(curve[0]), float(curve[-1])} == {0.0, 1.0}
    assert np.abs(curves[rising] - np.linspace(0, 1, 256)).max() > 0.15


def test_intensities_are_looked_up_between_the_points(volume: np.ndarray) -> None:
    square = np.linspace(0, 1, 256, dtype=np.float32) ** 2
    assert np.abs(change_intensities(volume, square) - volume**2).max() < 1e-4


@pytest.mark.parametrize("corrupt", [in_paint, out_paint, local_shuffle])
def test_the_argument_stays_and_the_draw_is_the_generators(corrupt, volume: np.ndarray) -> None:
    before = volume.copy()
    first, again, other = (corrupt(drawn(seed), volume) for seed in (3, 3, 4))
    assert np.array_equal(volume, before)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == np.float32
