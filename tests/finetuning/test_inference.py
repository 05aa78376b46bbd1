from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from med3dinsight.finetuning.inference import predict_scores

CPU = torch.device("cpu")


class Pointwise(nn.Module):
    """Scores that depend on the voxel alone."""

    def forward(self, volume: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(volume), 8 * volume - 4], 1)


class Corner(nn.Module):
    """Scores that depend on the place in the window alone: class 1 in its lower half along x."""

    def forward(self, volume: Tensor) -> Tensor:
        half = (torch.arange(volume.shape[2]) < volume.shape[2] // 2).float()[:, None, None].expand_as(volume)
        return torch.cat([torch.zeros_like(volume), 20 * half - 10], 1)


@pytest.mark.parametrize("shape", [(16, 16, 16), (37, 20, 16), (9, 30, 12), (5, 6, 7)])
def test_windows_join_to_what_the_network_says_of_every_voxel(shape: tuple[int, int, int]) -> None:
    voxels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    scores = predict_scores(Pointwise(), voxels, 16, 0.5, CPU)
    assert scores.shape == (2, *shape)
    assert scores.dtype == np.float32
    expected = 1 / (1 + np.exp(4 - 8 * (voxels / 255)))
    assert np.allclose(scores[1], expected, atol=0.02)
    assert np.allclose(scores.sum(0), 1, atol=1e-5)


def test_the_middle_of_a_window_counts_more_than_its_edge() -> None:
    """Two windows overlap by half and say opposite things there: near the centre of one, that one wins."""
    scores = predict_scores(Corner(), np.zeros((24, 16, 16), np.uint8), 16, 0.5, CPU)[1, :, 8, 8]
    assert scores[2] > 0.99
    assert scores[22] < 0.01
    assert scores[9] < 0.3 < 0.7 < scores[14]


def test_the_network_is_asked_in_evaluation_mode() -> None:
    class Dropping(Pointwise):
        def forward(self, volume: Tensor) -> Tensor:
            return nn.functional.dropout(super().forward(volume), 0.9, self.training)

    network = Dropping().train()
    voxels = np.full((16, 16, 16), 255, np.uint8)
    assert predict_scores(network, voxels, 16, 0.5, CPU)[1].min() > 0.9
