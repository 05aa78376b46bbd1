"""``setr`` and ``setr_nup``: SETR (Zheng et al. 2021, arXiv 2012.15840) in 3D: a ViT with a convolutional decoder.

Departs from the paper, which is 2D, in three points. PUP tapers its widths (256-128-64-32): at full width one map of
128³ voxels holds 2.1 GB. Maps are normalised by groups of channels instead of over the batch, because batches of
volumes are small. The last doubling comes after the classifying layer, which as both are linear gives the same scores.
No SETR in 3D with weights is published that we know of, so there is no layout of keys to follow; an encoder's weights
are those of ``vit``.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..encoders.vit import ViTEncoder
from ..errors import ConfigError


class SETRNaive(nn.Module):
    """Naive upsampling (NUP): two 1 x 1 x 1 convolutions on the tokens, interpolated to full size.

    Args:
        encoder: The ViT.
        num_classes: Classes with background.
        hidden: Channels between the two.
    """

    def __init__(self, encoder: ViTEncoder, num_classes: int, hidden: int = 256) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = nn.Sequential(
            nn.Conv3d(encoder.embed_dim, hidden, 1),
            nn.GroupNorm(8, hidden),
            nn.ReLU(),
            nn.Conv3d(hidden, num_classes, 1),
        )

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b k x y z"]:
        """Returns class scores at the input's size; edges are multiples of the patch."""
        scores = self.decoder(self.encoder(volume).pyramid[-1])
        return F.interpolate(scores, size=volume.shape[2:], mode="trilinear")


class SETRProgressive(nn.Module):
    """Progressive upsampling (PUP): a 3 x 3 x 3 convolution and a doubling in turn, up to full size.

    Args:
        encoder: The ViT; its patch is two to the power of the number of ``widths``.
        num_classes: Classes with background.
        widths: Channels after each convolution.

    Raises:
        ConfigError: The patch does not fit the number of widths.
    """

    def __init__(self, encoder: ViTEncoder, num_classes: int, widths: tuple[int, ...] = (256, 128, 64, 32)) -> None:
        super().__init__()
        if 2 ** len(widths) != encoder.patch_size:
            raise ConfigError(
                f"{len(widths)} doublings do not undo patches of {encoder.patch_size} voxels",
                f"give {math.log2(encoder.patch_size):g} widths",
            )
        self.encoder = encoder
        stages, below = [], encoder.embed_dim
        for width in widths:
            stages.append(nn.Sequential(nn.Conv3d(below, width, 3, padding=1), nn.GroupNorm(8, width), nn.ReLU()))
            below = width
        self.stages = nn.ModuleList(stages)
        self.classify = nn.Conv3d(below, num_classes, 1)

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b k x y z"]:
        """Returns class scores at the input's size; edges are multiples of the patch."""
        features = self.encoder(volume).pyramid[-1]
        for number, stage in enumerate(self.stages):
            features = stage(features if number == 0 else _double(features))
        return _double(self.classify(features))


def _double(features: Float[Tensor, "b c _ _ _"]) -> Float[Tensor, "b c _ _ _"]:
    return F.interpolate(features, scale_factor=2.0, mode="trilinear")
