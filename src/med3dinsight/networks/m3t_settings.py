"""Sizes and choices of M3T; comes up without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class M3TSettings:
    """The paper's sizes by default.

    Attributes:
        volume_channels: Channels of the two 5³ convolutions.
        blocks: Blocks of the 2D ResNet's four layers.
        widths: Their bottleneck widths; maps are four times as wide.
        projection: Hidden width of the projection from features of slices to tokens.
        width: Token width.
        mlp: Hidden width of the transformer's feed-forward layers.
        layers: Transformer layers.
        heads: Attention heads.
        slice_stride: Every how many-th slice of a plane becomes a token; 1 is the paper's. At 128³ a volume is 384
            passes of the 2D network.
        checkpointing: Whether training forgets the activations of the CNNs and computes them again in the backward
            pass: a third slower, the same gradient and the same running statistics.
    """

    volume_channels: int = 32
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    projection: int = 512
    width: int = 256
    mlp: int = 768
    layers: int = 8
    heads: int = 8
    slice_stride: int = 1
    checkpointing: bool = False

    def places(self, edge: int) -> range:
        """Returns the slices of an axis that become tokens, each in the middle of its stride.

        Example:
            >>> list(M3TSettings(slice_stride=4).places(16))
            [2, 6, 10, 14]
        """
        return range(self.slice_stride // 2, edge, self.slice_stride)


TINY = M3TSettings(
    volume_channels=8,
    blocks=(1, 1, 1, 1),
    widths=(8, 16, 32, 64),
    projection=96,
    width=48,
    mlp=96,
    layers=2,
    heads=4,
    slice_stride=2,
)
