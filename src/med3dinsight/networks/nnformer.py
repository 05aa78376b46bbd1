"""``nnformer``: nnFormer for segmentation, written from its paper (Zhou et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..encoders.nnformer import NNFormerEncoder, convolve
from ..encoders.window_attention import RelativeIndex, WindowAttention
from ..encoders.window_block import WindowBlock
from .input_sizes import InputSizes


class Expanding(nn.Module):
    """Norm and a transposed convolution that doubles the grid and halves the channels.

    Args:
        dim: Channels of the input.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.up = nn.ConvTranspose3d(dim, dim // 2, 2, stride=2)

    def forward(self, features: Float[Tensor, "b x y z c"]) -> Float[Tensor, "b u v w d"]:
        """Returns features on twice the grid."""
        return convolve(self.up, self.norm(features))


class SkipBlock(WindowBlock):
    """Skip attention: the upsampled features ask, the encoder's answer, and the identity is their sum.

    One norm serves both, and the queries are the normalised features themselves, without a projection.
    """

    def forward(  # type: ignore[override]
        self, upsampled: Float[Tensor, "b x y z c"], skip: Float[Tensor, "b x y z c"]
    ) -> Float[Tensor, "b x y z c"]:
        """Returns features of the same shape."""
        attended = self.attn(self.norm1(skip), self.shifted, self.norm1(upsampled))
        features = upsampled + skip + self.drop_path(attended)
        return features + self.drop_path(self.mlp(self.norm2(features)))


class NNFormerDecoderStage(nn.Module):
    """Expanding, a block of skip attention, and blocks with shifted windows.

    Args:
        dim: Channels of the result.
        num_heads: Attention heads.
        window: Edge of a window in tokens.
        drop_path: For each block the share of samples that leave a branch out.
        relative_index: As in the encoder.
    """

    def __init__(
        self, dim: int, num_heads: int, window: int, drop_path: Sequence[float], relative_index: RelativeIndex
    ) -> None:
        super().__init__()
        self.expand = Expanding(2 * dim)
        self.blocks = nn.ModuleList()
        for number, rate in enumerate(drop_path):
            first = number == 0
            attention = WindowAttention(
                dim, num_heads, (window,) * 3, clipping="cube", relative_index=relative_index, cross=first
            )
            self.blocks.append((SkipBlock if first else WindowBlock)(dim, attention, not first, drop_path=rate))

    def forward(
        self, below: Float[Tensor, "b x y z c"], skip: Float[Tensor, "b u v w d"]
    ) -> Float[Tensor, "b u v w d"]:
        """Returns features of the skip's shape."""
        features = self.blocks[0](self.expand(below), skip)
        for block in self.blocks[1:]:
            features = block(features)
        return features


class NNFormerSegmenter(nn.Module):
    """The encoder, three decoder stages of as many blocks, and a transposed convolution from patches to voxels.

    The decoder leaves out branches as the encoder does, from none at its deepest block to ``drop_path`` at its last.

    Args:
        encoder: The encoder.
        num_classes: Classes with background.
        depth: Blocks of each decoder stage.
        deep_supervision: Heads on the two coarser decoder stages too; in training the network then returns a list of
            scores, fine to coarse, each twice as coarse as the one before. In evaluation it returns the finest alone.
    """

    def __init__(
        self,
        encoder: NNFormerEncoder,
        num_classes: int,
        *,
        depth: int = 2,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.deep_supervision = deep_supervision
        self.sizes = InputSizes(lambda edge: edge // self.stride, multiple=self.stride)
        levels = range(len(encoder.widths) - 1)
        rates = torch.linspace(0, encoder.drop_path, depth * len(levels), device="cpu").split(depth)[::-1]
        # Fine to coarse, as the encoder's stages. Heads are as wide as in the encoder's next stage.
        self.stages = nn.ModuleList(
            NNFormerDecoderStage(
                encoder.widths[level],
                encoder.num_heads[level + 1],
                encoder.windows[level],
                rates[level].tolist(),
                encoder.relative_index,
            )
            for level in levels
        )
        patch = encoder.patch_size
        self.heads = nn.ModuleList(
            nn.ConvTranspose3d(encoder.widths[level], num_classes, patch, stride=patch)
            for level in (levels if deep_supervision else levels[:1])
        )

    @property
    def stride(self) -> int:
        """Voxels along an edge that become one token of the last stage."""
        return self.encoder.patch_size * 2 ** (len(self.encoder.widths) - 1)

    def forward(
        self, volume: Float[Tensor, "b i x y z"]
    ) -> Float[Tensor, "b k x y z"] | list[Float[Tensor, "b k _x _y _z"]]:
        """Returns class scores at the input's size; in training with deep supervision a list, fine to coarse.

        Raises:
            ConfigError: An edge is no multiple of ``stride``.
        """
        self.sizes.check(volume, self.training)
        *skips, features = (each.movedim(1, -1) for each in self.encoder(volume).pyramid)
        found: list[Tensor] = []
        for stage, skip in zip(reversed(self.stages), reversed(skips), strict=True):
            features = stage(features, skip)
            found.insert(0, features)
        wanted = found if self.deep_supervision and self.training else found[:1]
        scores = [head(each.movedim(-1, 1)) for head, each in zip(self.heads, wanted, strict=False)]
        return scores if self.deep_supervision and self.training else scores[0]
