"""A light decoder on any encoder: from the tokens through the pyramid to a map at the input's full size.

Departs from feature pyramid networks (Lin et al. 2017) in that channels taper with the widths of the pyramid, and in
that pyramids of one resolution, or none, are refined by further upsampling.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..types import Shape3
from .encoder import EncoderOutput
from .patches import as_map

#: Channels of a level lie between these, and are a quarter of the pyramid's where that lies between them.
NARROWEST, WIDEST = 16, 128
#: Steps of refinement behind a pyramid of one resolution, which ends at a sixteenth or an eighth of the input's.
REFINEMENTS = 2


class PyramidDecoder(nn.Module):
    """Decodes what any encoder gives.

    Each level, from coarse to fine: what came from below is reduced by a 1 x 1 x 1 convolution and interpolated to
    the level's size, the level's map is reduced likewise and added, and one 3 x 3 x 3 convolution with group norm
    mixes them. Pyramids of one resolution (transformers), and empty ones, are followed by steps that double the size
    and halve the channels. At last a 1 x 1 x 1 convolution gives the outputs, interpolated to full size.

    Args:
        embed_dim: Width of the encoder's tokens.
        widths: Channels of its pyramid, from fine to coarse; may be empty.
        outputs: Channels of the result.
        refinements: Steps that double the size behind the pyramid; by default 2 behind a pyramid of equal widths, 0
            behind another.
    """

    def __init__(
        self, embed_dim: int, widths: tuple[int, ...], outputs: int, *, refinements: int | None = None
    ) -> None:
        super().__init__()
        if refinements is None:
            refinements = REFINEMENTS if len(set(widths)) <= 1 else 0
        channels = _level_channels(embed_dim)
        self.start = _Level(embed_dim, channels)
        levels = []
        for width in reversed(widths):
            below, channels = channels, _level_channels(width)
            levels.append(_Level(below, channels, width))
        self.levels = nn.ModuleList(levels)
        steps = []
        for _ in range(refinements):
            below, channels = channels, max(channels // 2, NARROWEST)
            steps.append(_Level(below, channels))
        self.refinements = nn.ModuleList(steps)
        self.outputs = nn.Conv3d(channels, outputs, 1)

    def forward(self, encoded: EncoderOutput, size: Shape3) -> Float[Tensor, "b o x y z"]:
        """Returns ``outputs`` channels at ``size``, the voxels of the encoder's input along x, y, z."""
        features = self.start(as_map(encoded.tokens, encoded.grid), encoded.grid)
        for level, feature in zip(self.levels, reversed(encoded.pyramid), strict=True):
            features = level(features, (feature.shape[2], feature.shape[3], feature.shape[4]), feature)
        for step in self.refinements:
            doubled = [min(2 * edge, full) for edge, full in zip(features.shape[2:], size, strict=True)]
            features = step(features, (doubled[0], doubled[1], doubled[2]))
        return _resize(self.outputs(features), size)


class _Level(nn.Module):
    """Reduce, interpolate, join the pyramid's map if there is one, mix."""

    def __init__(self, below: int, channels: int, width: int | None = None) -> None:
        super().__init__()
        self.reduce = nn.Conv3d(below, channels, 1, bias=False)
        self.join = None if width is None else nn.Conv3d(width, channels, 1, bias=False)
        groups = math.gcd(8, channels)
        self.mix = nn.Sequential(
            nn.Conv3d(channels, channels, 3, padding=1, bias=False), nn.GroupNorm(groups, channels), nn.GELU()
        )

    def forward(
        self, below: Float[Tensor, "b c x y z"], size: Shape3, feature: Float[Tensor, "b w u v t"] | None = None
    ) -> Float[Tensor, "b o u v t"]:
        features = _resize(self.reduce(below), size)
        if self.join is not None:
            features = features + self.join(feature)
        return self.mix(features)


def _level_channels(width: int) -> int:
    return min(max(width // 4 // 8 * 8, NARROWEST), WIDEST)


def _resize(features: Float[Tensor, "b c _ _ _"], size: Shape3) -> Float[Tensor, "b c x y z"]:
    if tuple(features.shape[2:]) == size:
        return features
    return F.interpolate(features, size=size, mode="trilinear")
