from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from med3dinsight.encoders.encoder import EncoderOutput
from med3dinsight.readouts.probe import probe_auc, tile_origins, voxel_features


@given(shape=st.tuples(*[st.integers(1, 90)] * 3), size=st.integers(8, 40))
def test_tiles_cover_the_volume_lie_inside_and_overlap_by_a_quarter(shape: tuple[int, int, int], size: int) -> None:
    origins = tile_origins(shape, size)
    for axis, length in enumerate(shape):
        starts = sorted(set(origins[:, axis].tolist()))
        if length <= size:
            (only,) = starts
            assert only <= 0
            assert only + size >= length
        else:
            assert starts[0] == 0
            assert starts[-1] == length - size
            assert all(later - start <= np.ceil(0.75 * size) for start, later in pairwise(starts))
    assert len(origins) == np.prod([len(set(origins[:, axis].tolist())) for axis in range(3)])


class Eye(nn.Module):
    """An encoder whose tokens are the means of 4³ voxels and nothing else."""

    def forward(self, volume: Tensor) -> EncoderOutput:
        mean = nn.functional.avg_pool3d(volume, 4)
        return EncoderOutput(mean.flatten(2).transpose(1, 2), (mean.shape[2], mean.shape[3], mean.shape[4]))


@pytest.mark.parametrize("shape", [(40, 28, 16), (12, 40, 30)])
def test_features_are_read_where_the_voxel_lies_through_whichever_crop(shape: tuple[int, int, int]) -> None:
    """Block means of a ramp, interpolated, are the ramp itself, but near the volume's edge and its padding."""
    ramp = np.arange(shape[0])[:, None, None] + 2 * np.arange(shape[1])[:, None] + 3 * np.arange(shape[2])
    assert ramp.max() < 256
    rng = np.random.default_rng(0)
    edge = [4 if length < 16 else 2 for length in shape]
    places = np.stack([rng.integers(low, length - low, 200) for low, length in zip(edge, shape, strict=True)], axis=1)
    got = voxel_features(Eye(), ramp.astype(np.uint8), places, 16, torch.device("cpu"))
    assert np.allclose(got[:, 0], ramp[tuple(places.T)] / 255, atol=1e-5)


def test_a_voxel_class_that_features_tell_apart_is_found_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    classes = np.repeat([1, 2, 3], 60)
    centres = np.array([[0, 0], [0, 0], [4, 0], [0, 4]])
    train, test = (centres[classes] + rng.normal(size=(180, 2)) for _ in range(2))
    auc = probe_auc(train, classes, test, classes)
    assert set(auc) == {1, 2, 3}
    assert min(auc.values()) > 0.95
    noise = probe_auc(rng.normal(size=(600, 2)), np.repeat([1, 2, 3], 200), test, classes)
    assert abs(np.mean(list(noise.values())) - 0.5) < 0.1


def test_auc_is_the_chance_that_a_voxel_of_the_class_scores_higher() -> None:
    """With two classes and one feature the ranking is the feature's own, so the areas are counted by hand."""
    train = np.array([[0.0], [1.0], [2.0], [3.0]])
    test = np.array([[0.5], [2.5], [1.5], [3.5]])
    auc = probe_auc(train, np.array([1, 1, 2, 2]), test, np.array([1, 1, 2, 2]))
    pairs = [(low, high) for low in (0.5, 2.5) for high in (1.5, 3.5)]
    by_hand = np.mean([high > low for low, high in pairs])
    assert auc == pytest.approx({1: by_hand, 2: by_hand})


def test_classes_that_only_one_side_has_are_left_out() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 3))
    auc = probe_auc(features, np.repeat([1, 2, 3], 20), features, np.repeat([1, 2, 4], 20))
    assert set(auc) == {1, 2}
