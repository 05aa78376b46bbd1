"""``conv_tiny`` for segmentation: the small CNN encoder with a light U-Net decoder.

Classes are scored at half the input's resolution and interpolated: on a CPU the full-resolution stage
would cost as much as all the rest.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..encoders.conv_tiny import ConvTiny


class DecoderStage(nn.Module):
    """Upsample by two, join the skip, one convolution.

    Args:
        channels: Channels from below.
        skip: Channels of the skip.
        outputs: Channels of the result.
    """

    def __init__(self, channels: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.reduce = nn.Conv3d(channels, outputs, 1, bias=False)
        self.mix = nn.Sequential(
            nn.Conv3d(outputs + skip, outputs, 3, padding=1, bias=False), nn.GroupNorm(8, outputs), nn.GELU()
        )

    def forward(
        self, below: Float[Tensor, "b c x y z"], skip: Float[Tensor, "b s u v w"]
    ) -> Float[Tensor, "b o u v w"]:
        """Returns features of the skip's size."""
        features = F.interpolate(self.reduce(below), size=skip.shape[2:], mode="trilinear")
        return self.mix(torch.cat([features, skip], 1))


class ConvTinySegmenter(nn.Module):
    """Segments volumes of any size.

    Args:
        num_classes: Classes with background.
        in_channels: Channels of the input.
    """

    def __init__(self, num_classes: int, in_channels: int = 1) -> None:
        super().__init__()
        self.encoder = ConvTiny(in_channels)
        fine, middle, coarse = self.encoder.widths
        self.up1 = DecoderStage(coarse, middle, middle)
        self.up2 = DecoderStage(middle, fine, 32)
        self.classify = nn.Conv3d(32, num_classes, 1)

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b c x y z"]:
        """Returns class scores at the input's size."""
        fine, middle, coarse = self.encoder(volume).pyramid
        features = self.up1(coarse, middle)
        features = self.up2(features, fine)
        return F.interpolate(self.classify(features), size=volume.shape[2:], mode="trilinear")
