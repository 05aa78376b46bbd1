from __future__ import annotations

import pytest
import torch
from torch import nn

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.checking import check_encoder
from med3dinsight.encoders.encoder import EncoderOutput
from med3dinsight.errors import ConfigError
from med3dinsight.networks.token_classifier import TokenClassifier


class Mine(nn.Module):
    """An encoder of one convolution, with a place to go wrong in."""

    def __init__(self, embed_dim: object = 4, widths: object = (4,), stride: int = 8, wrong: str = "") -> None:
        super().__init__()
        self.embed_dim, self.widths, self.wrong = embed_dim, widths, wrong
        self.layer = nn.Conv3d(1, 4, stride, stride)
        self.dropout = nn.Dropout(0.5)

    def forward(self, volume: torch.Tensor) -> object:
        if self.wrong == "size" and volume.shape[-1] != 96:
            raise ValueError("only 96")
        features = self.dropout(self.layer(volume))
        if self.wrong == "output":
            return features
        tokens = features.flatten(2).transpose(1, 2)
        x, y, z = features.shape[2:]
        grid = (x, y, z + 1) if self.wrong == "grid" else (x, y, z)
        maps = (
            (features, nn.functional.interpolate(features, scale_factor=2.0)) if self.wrong == "order" else (features,)
        )
        return EncoderOutput(tokens, grid, maps)


def test_a_module_that_follows_the_protocol_is_returned_as_it_is_and_stands_under_any_head() -> None:
    mine = Mine()
    mine.dropout.eval()
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    assert create_encoder(mine) is mine
    assert torch.equal(torch.random.get_rng_state(), before)
    assert mine.training
    assert not mine.dropout.training
    assert TokenClassifier(mine, 3)(torch.rand(2, 1, 16, 16, 16)).shape == (2, 3)


@pytest.mark.parametrize(
    ("mine", "reason"),
    [
        (nn.Conv3d(1, 1, 1), "Conv3d is no encoder: its embed_dim is None and should be an int"),
        (Mine(widths=[4]), r"its widths is \[4\] and should be a tuple of ints"),
        (Mine(wrong="output"), "its call gives a Tensor and should give an EncoderOutput"),
        (Mine(wrong="grid"), r"shape \(2, 64, 4\), but two volumes, a grid of \(4, 4, 5\) and embed_dim 4 make"),
        (Mine(embed_dim=5), r"embed_dim 5 make \(2, 64, 5\)"),
        (Mine(widths=(4, 4)), r"have \(4,\) channels, but widths says \(4, 4\)"),
        (Mine(widths=(4, 4), wrong="order"), r"not go from fine to coarse: \(4, 4, 4\) stands before \(8, 8, 8\)"),
        (Mine(stride=200), "Mine encodes no cube of 32, 64, 96, 128 voxels and 1 channels: RuntimeError"),
    ],
)
def test_one_that_does_not_is_told_what_does_not_fit(mine: nn.Module, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        create_encoder(mine)
    assert "add-an-encoder.md" in caught.value.hint


def test_larger_volumes_are_tried_where_small_ones_are_refused() -> None:
    check_encoder(Mine(wrong="size"))


@pytest.mark.parametrize("name", ["conv_tiny", "unetr_tiny", "primus_tiny", "resenc_tiny", "mednext_tiny"])
def test_our_own_encoders_pass(name: str) -> None:
    check_encoder(create_encoder(name, image_size=32))
