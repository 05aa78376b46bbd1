"""``swin_vit`` and ``swin_unetr``: the 3D Swin transformer that MONAI has, computed another way.

The state dict is that of ``monai.networks.nets.swin_unetr.SwinTransformer``, key for key, and so are the outputs.
Hatamizadeh et al. 2022, Swin UNETR; Liu et al. 2021, Swin Transformer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ConfigError, suggest
from ..types import Shape3
from .any_size import check_edges
from .encoder import EncoderOutput
from .window_attention import WindowAttention
from .window_block import WindowBlock

#: Which of the 2³ neighbours are joined, in which order.
_CORNERS: dict[str, tuple[Shape3, ...]] = {
    "mended": ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)),
    "before_1_5": ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 0), (0, 0, 1), (1, 1, 1)),
}


class PatchEmbedding(nn.Module):
    """Linear map of patches; the volume is padded with zeros to whole patches.

    Args:
        in_channels: Channels of the input.
        dim: Channels of a token.
        patch: Edge of a patch in voxels.
    """

    def __init__(self, in_channels: int, dim: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Conv3d(in_channels, dim, patch, stride=patch)

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b u v w c"]:
        """Returns a grid of tokens."""
        p = self.patch
        volume = F.pad(volume, [n for size in reversed(volume.shape[2:]) for n in (0, -size % p)])
        b, i, x, y, z = volume.shape
        patches = volume.view(b, i, x // p, p, y // p, p, z // p, p).permute(0, 2, 4, 6, 1, 3, 5, 7)
        # A matrix product: as a convolution without overlap it is several times slower on a CPU.
        return F.linear(patches.flatten(4), self.proj.weight.flatten(1), self.proj.bias)


class PatchMerging(nn.Module):
    """Joins 2 x 2 x 2 tokens into one of twice the channels; an odd axis is padded with zeros.

    Args:
        dim: Channels of the input.
        merging: "mended" joins each of the eight; "before_1_5" is what MONAI computed up to its version 1.4: two of
            them twice, (0,1,0) and (0,0,1), and two of them, (1,1,0) and (0,1,1), never.
    """

    def __init__(self, dim: int, merging: str = "mended") -> None:
        super().__init__()
        self.corners = _CORNERS[merging]
        self.norm = nn.LayerNorm(8 * dim)
        self.reduction = nn.Linear(8 * dim, 2 * dim, bias=False)

    def forward(self, features: Float[Tensor, "b x y z c"]) -> Float[Tensor, "b u v w d"]:
        """Returns features on half the grid."""
        if any(size % 2 for size in features.shape[1:4]):
            features = F.pad(features, [0, 0, *(n for size in reversed(features.shape[1:4]) for n in (0, size % 2))])
        joined = torch.cat([features[:, x::2, y::2, z::2] for x, y, z in self.corners], -1)
        return self.reduction(self.norm(joined))


class SwinStage(nn.Module):
    """Blocks, every second one shifted, and a merging.

    Args:
        dim: Channels.
        depth: Blocks.
        num_heads: Attention heads.
        window: Edge of a window in tokens.
        merging: See :class:`PatchMerging`.
    """

    def __init__(self, dim: int, depth: int, num_heads: int, window: int, merging: str) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            WindowBlock(dim, WindowAttention(dim, num_heads, (window,) * 3), number % 2 == 1) for number in range(depth)
        )
        self.downsample = PatchMerging(dim, merging)

    def forward(self, features: Float[Tensor, "b x y z c"]) -> Float[Tensor, "b u v w d"]:
        """Returns features on half the grid."""
        for block in self.blocks:
            features = block(features)
        return self.downsample(features)


class SwinEncoder(nn.Module):
    """A 3D Swin transformer; takes volumes of any size.

    Sizes that are no multiple of the patch, of two, or of a window are padded with zeros where they do not fit, as
    MONAI does, so that token positions are exact for multiples of ``patch_size * 2 ** token_map`` only.

    Args:
        in_channels: Channels of the input.
        width: Channels of the first stage; doubled by each stage.
        depths: Blocks of the stages.
        num_heads: Attention heads of the stages.
        patch_size: Edge of a patch in voxels.
        window: Edge of a window in tokens.
        token_map: Which map of the pyramid gives the tokens: 0 is the patch embedding, i the result of stage i.
        merging: "mended", or "before_1_5" for weights that were trained with MONAI up to version 1.4 (see
            :class:`PatchMerging`). Both have the same keys and shapes, and nothing in a file tells them apart.

    Attributes:
        merging: As above.
        unread_by_tokens: Prefixes of the parameters behind ``token_map``. They shape the pyramid's deeper maps, and
            get no gradient from tokens alone.
    """

    def __init__(
        self,
        in_channels: int = 1,
        width: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        patch_size: int = 4,
        window: int = 7,
        token_map: int = 3,
        merging: str = "mended",
    ) -> None:
        super().__init__()
        if merging not in _CORNERS:
            raise ConfigError(f"no way of merging called {merging}", suggest(merging, _CORNERS))
        self.merging = merging
        self.widths = tuple(width * 2**level for level in range(len(depths) + 1))
        self.token_map = token_map
        self.embed_dim = self.widths[token_map]
        self.patch_embed = PatchEmbedding(in_channels, width, patch_size)
        self.num_stages = len(depths)
        self.unread_by_tokens = tuple(f"layers{number}." for number in range(token_map + 1, len(depths) + 1))
        for number, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
            # A list of one, and its name, because so are the keys of published weights.
            stage = SwinStage(self.widths[number], depth, heads, window, merging)
            self.add_module(f"layers{number + 1}", nn.ModuleList([stage]))

    def forward(self, volume: Float[Tensor, "b c x y z"]) -> EncoderOutput:
        """Encodes volumes; maps of the pyramid are normalised over channels, without parameters.

        Raises:
            ConfigError: An axis has no voxel.
        """
        check_edges((volume.shape[2], volume.shape[3], volume.shape[4]))
        features = self.patch_embed(volume)
        maps = [features]
        for number in range(self.num_stages):
            features = getattr(self, f"layers{number + 1}")[0](features)
            maps.append(features)
        maps = [F.layer_norm(each, each.shape[-1:]) for each in maps]
        tokens = maps[self.token_map]
        grid = (tokens.shape[1], tokens.shape[2], tokens.shape[3])
        return EncoderOutput(tokens.flatten(1, 3), grid, tuple(each.movedim(-1, 1) for each in maps))
