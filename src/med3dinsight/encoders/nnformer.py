"""``nnformer``: the encoder of nnFormer, written from its paper; Zhou et al. 2023, a volumetric transformer.

Convolutions where Swin cuts patches and joins neighbours, windows of 4-4-8-4 tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .any_size import check_edges
from .encoder import EncoderOutput
from .window_attention import RelativeIndex, WindowAttention
from .window_block import WindowBlock

#: Those of the published configuration for cubes.
DEPTHS = (2, 2, 2, 2)
HEADS = (3, 6, 12, 24)
WINDOWS = (4, 4, 8, 4)


def convolve(layer: nn.Module, features: Float[Tensor, "b x y z c"]) -> Float[Tensor, "b u v w d"]:
    """Applies a layer that wants channels second to features that have them last; no copy is made."""
    return layer(features.movedim(-1, 1)).movedim(1, -1)


class ConvolutionPair(nn.Module):
    """Convolution of stride ``stride``, GELU, norm, convolution; then GELU and norm again, unless it is the last.

    Args:
        channels: Channels of the input.
        dim: Channels of the result.
        stride: Stride of the first convolution.
        last: No GELU and norm at the end.
    """

    def __init__(self, channels: int, dim: int, stride: int, last: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, dim, 3, stride=stride, padding=1)
        self.norm1 = nn.LayerNorm(dim)
        self.conv2 = nn.Conv3d(dim, dim, 3, padding=1)
        self.norm2 = None if last else nn.LayerNorm(dim)

    def forward(self, features: Float[Tensor, "b x y z i"]) -> Float[Tensor, "b u v w c"]:
        """Returns features on the strided grid."""
        features = self.norm1(F.gelu(convolve(self.conv1, features)))
        features = convolve(self.conv2, features)
        return features if self.norm2 is None else self.norm2(F.gelu(features))


class ConvolutionalEmbedding(nn.Module):
    """Patches embedded by two pairs of convolutions; the volume is padded with zeros to whole patches.

    Args:
        in_channels: Channels of the input.
        dim: Channels of a token.
        patch: Edge of a patch in voxels: 4, halved twice, or 2, halved once.
    """

    def __init__(self, in_channels: int, dim: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.pair1 = ConvolutionPair(in_channels, dim // 2, 2, last=False)
        self.pair2 = ConvolutionPair(dim // 2, dim, patch // 2, last=True)
        self.norm = nn.LayerNorm(dim)

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b u v w c"]:
        """Returns a grid of tokens."""
        volume = F.pad(volume, [n for size in reversed(volume.shape[2:]) for n in (0, -size % self.patch)])
        return self.norm(self.pair2(self.pair1(volume.movedim(1, -1))))


class ConvolutionalMerging(nn.Module):
    """GELU, norm, and a convolution of stride 2 that doubles the channels.

    Args:
        dim: Channels of the input.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.reduction = nn.Conv3d(dim, 2 * dim, 3, stride=2, padding=1)

    def forward(self, features: Float[Tensor, "b x y z c"]) -> Float[Tensor, "b u v w d"]:
        """Returns features on half the grid."""
        return convolve(self.reduction, self.norm(F.gelu(features)))


class NNFormerStage(nn.Module):
    """Blocks, every second one shifted.

    Args:
        dim: Channels.
        num_heads: Attention heads.
        window: Edge of a window in tokens.
        drop_path: For each block the share of samples that leave a branch out.
        relative_index: See :func:`~med3dinsight.encoders.window_attention.relative_position_index`.
    """

    def __init__(
        self, dim: int, num_heads: int, window: int, drop_path: Sequence[float], relative_index: RelativeIndex
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        for number, rate in enumerate(drop_path):
            attention = WindowAttention(dim, num_heads, (window,) * 3, clipping="cube", relative_index=relative_index)
            self.blocks.append(WindowBlock(dim, attention, number % 2 == 1, drop_path=rate))

    def forward(self, features: Float[Tensor, "b x y z c"]) -> Float[Tensor, "b x y z c"]:
        """Returns features of the same shape."""
        for block in self.blocks:
            features = block(features)
        return features


class NNFormerEncoder(nn.Module):
    """Four stages at 1/4, 1/8, 1/16 and 1/32 of the input's size (patches of 4); takes volumes of any size.

    The tokens are the last map. On a grid not longer than a window, windows are clipped and not shifted.

    Departs from the authors' code, not from the paper, in two things: bias tables always have the size of the
    unclipped window, so that weights fit every input size; and ``relative_index="correct"`` gives each difference of
    positions its own bias, which the code does not ("reference" does as the code).

    Args:
        in_channels: Channels of the input.
        width: Channels of the first stage; doubled by each stage.
        depths: Blocks of the stages.
        num_heads: Attention heads of the stages.
        windows: Edges of the stages' windows in tokens.
        patch_size: Edge of a patch in voxels, 4 or 2.
        drop_path: Share of samples for which training leaves out a branch of the last block; from 0 at the first
            block it grows evenly.
        relative_index: "correct", or "reference" for weights that were trained with the authors' code.

    Attributes:
        unread_by_tokens: Prefixes of the parameters that shape the pyramid's other maps only, and get no gradient from
            tokens alone.
    """

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 96,
        depths: Sequence[int] = DEPTHS,
        num_heads: Sequence[int] = HEADS,
        windows: Sequence[int] = WINDOWS,
        patch_size: int = 4,
        drop_path: float = 0.2,
        relative_index: RelativeIndex = "correct",
    ) -> None:
        super().__init__()
        self.widths = tuple(width * 2**level for level in range(len(depths)))
        self.embed_dim = self.widths[-1]
        self.unread_by_tokens = tuple(f"norms.{level}." for level in range(len(depths) - 1))
        self.patch_size, self.num_heads, self.windows = patch_size, tuple(num_heads), tuple(windows)
        self.drop_path, self.relative_index = drop_path, relative_index
        self.patch_embed = ConvolutionalEmbedding(in_channels, width, patch_size)
        self.stages, self.merges, self.norms = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        blocks = max(sum(depths) - 1, 1)
        for level, dim in enumerate(self.widths):
            first = sum(depths[:level])
            rates = [drop_path * number / blocks for number in range(first, first + depths[level])]
            stage = NNFormerStage(dim, num_heads[level], windows[level], rates, relative_index)
            self.stages.append(stage)
            self.norms.append(nn.LayerNorm(dim))
            if level:
                self.merges.append(ConvolutionalMerging(self.widths[level - 1]))

    def forward(self, volume: Float[Tensor, "b c x y z"]) -> EncoderOutput:
        """Encodes volumes; maps of the pyramid and tokens are normalised.

        Raises:
            ConfigError: An axis has no voxel.
        """
        check_edges((volume.shape[2], volume.shape[3], volume.shape[4]))
        features = self.patch_embed(volume)
        maps = []
        for level, (stage, norm) in enumerate(zip(self.stages, self.norms, strict=True)):
            features = stage(self.merges[level - 1](features) if level else features)
            maps.append(norm(features))
        tokens = maps[-1]
        grid = (tokens.shape[1], tokens.shape[2], tokens.shape[3])
        return EncoderOutput(tokens.flatten(1, 3), grid, tuple(each.movedim(-1, 1) for each in maps))
