"""``primus_m`` for segmentation: the Primus encoder with its own light decoder of transposed convolutions."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..encoders.primus import PrimusEncoder, he_init
from ..errors import ConfigError


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each voxel.

    Args:
        channels: Channels of the map.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Float[Tensor, "b c x y z"]) -> Float[Tensor, "b c x y z"]:
        """Returns features of the same shape."""
        variance, mean = torch.var_mean(features, 1, correction=0, keepdim=True)
        normal = (features - mean) * (variance + 1e-6).rsqrt()
        return normal * self.weight.view(-1, 1, 1, 1) + self.bias.view(-1, 1, 1, 1)


class PrimusSegmenter(nn.Module):
    """Primus with its published decoder (Wald et al. 2025): the last tokens alone are upsampled, there are no skips.

    Channels fall by the same factor at each doubling, rounded to multiples of 8, as published.

    Args:
        encoder: Primus; its patch is a power of two.
        num_classes: Classes with background.

    Raises:
        ConfigError: The encoder's patch is no power of two.
    """

    def __init__(self, encoder: PrimusEncoder, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        doublings = int(math.log2(encoder.patch_size))
        if 2**doublings != encoder.patch_size:
            raise ConfigError(f"a patch of {encoder.patch_size} voxels is no power of two", "use 4, 8 or 16")
        channels = _decoder_channels(encoder.embed_dim, num_classes, doublings)
        stages = []
        for number, (below, above) in enumerate(pairwise(channels), start=1):
            up = nn.ConvTranspose3d(below, above, 2, stride=2)
            he_init(up)
            last = number == doublings
            stages.append(up if last else nn.Sequential(up, ChannelNorm(above), nn.GELU()))
        self.decoder = nn.Sequential(*stages)

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b k x y z"]:
        """Returns class scores at the input's size; edges are multiples of the patch."""
        return self.decoder(self.encoder(volume).pyramid[-1])


def _decoder_channels(width: int, outputs: int, doublings: int) -> list[int]:
    factor = (width / (2 * outputs)) ** (1 / doublings)
    inner = [max(8, round(width / factor**step / 8) * 8) for step in range(1, doublings)]
    return [width, *inner, outputs]
