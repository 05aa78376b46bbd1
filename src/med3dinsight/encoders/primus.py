"""``primus_m``: a transformer on fine patches with rotary positions, after Primus (Wald et al. 2025, arXiv 2503.01835).

A block of EVA-02 (Fang et al. 2023): attention whose result is normalised before it is projected, a SwiGLU
feed-forward layer with a norm inside, and a learned scale on both branches.

As published by its authors: widths, depth, heads, both position embeddings (a learned table and rotation), biases on
queries and values but not on keys, feed-forward width 8/3 of the token width, layer scale from 0.1, stochastic depth
up to 0.2, no register tokens, no norm on queries and keys. ``published/primus.py`` loads their weights.
Departs from it in that any input size works: the table is interpolated, and the angles count tokens as before.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..errors import ConfigError
from .drop_path import DropPath
from .encoder import EncoderOutput
from .patches import embed_patches, patch_grid, resize_table, take_tokens
from .rotary import rotary_angles, turn
from .taps import quarters, tapped

#: Where the learned scale of a branch starts.
LAYER_SCALE = 0.1


class Attention(nn.Module):
    """Fused attention with rotated queries and keys.

    Args:
        width: Token width.
        heads: Attention heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "b n c"], angles: Float[Tensor, "#b n p"]) -> Float[Tensor, "b n c"]:
        """Returns tokens of the same shape."""
        query, key, value = (
            layer(tokens).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(turn(query, angles), turn(key, angles), value)
        return self.project(self.norm(mixed.transpose(1, 2).flatten(2)))


class SwiGLU(nn.Module):
    """Feed-forward layer gated by a SiLU (Shazeer 2020), with a norm before the last projection.

    Args:
        width: Token width.
        hidden: Width inside.
    """

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, hidden)
        self.value = nn.Linear(width, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.project = nn.Linear(hidden, width)

    def forward(self, tokens: Float[Tensor, "b n c"]) -> Float[Tensor, "b n c"]:
        """Returns tokens of the same shape."""
        return self.project(self.norm(F.silu(self.gate(tokens)) * self.value(tokens)))


class Block(nn.Module):
    """Attention and feed-forward layer, each on a scaled residual branch.

    Args:
        width: Token width.
        heads: Attention heads.
        drop_path: Probability that training leaves a branch out.
    """

    def __init__(self, width: int, heads: int, drop_path: float) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2, self.feed_forward = nn.LayerNorm(width), SwiGLU(width, int(width * 8 / 3))
        self.scale1 = nn.Parameter(torch.full((width,), LAYER_SCALE))
        self.scale2 = nn.Parameter(torch.full((width,), LAYER_SCALE))
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: Float[Tensor, "b n c"], angles: Float[Tensor, "#b n p"]) -> Float[Tensor, "b n c"]:
        """Returns tokens of the same shape."""
        tokens = tokens + self.drop_path(self.scale1 * self.attention(self.norm1(tokens), angles))
        return tokens + self.drop_path(self.scale2 * self.feed_forward(self.norm2(tokens)))


class PrimusEncoder(nn.Module):
    """Primus; its pyramid holds four maps of equal resolution, after each quarter of the blocks.

    Args:
        image_size: Edge in voxels of the cube that the position table is made for; a multiple of ``patch_size``.
        patch_size: Edge of a patch in voxels.
        width: Token width.
        depth: Blocks.
        heads: Attention heads; ``width / heads`` must be a multiple of 6 (a pair of channels for each axis).
        in_channels: Channels of the input.
        drop_path: Probability that training leaves a branch of the last block out; grows from 0 in the first.

    Raises:
        ConfigError: ``image_size`` is no multiple of ``patch_size``, or the heads do not divide the width so.
    """

    takes_keep = True

    def __init__(
        self,
        image_size: int = 128,
        patch_size: int = 8,
        width: int = 864,
        depth: int = 16,
        heads: int = 12,
        in_channels: int = 1,
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        if width % (6 * heads):
            raise ConfigError(
                f"{heads} heads cannot share a width of {width} for rotation in 3D", f"use a multiple of {6 * heads}"
            )
        self.table_grid = patch_grid((image_size,) * 3, patch_size)
        self.image_size, self.patch_size, self.heads = image_size, patch_size, heads
        self.taps = quarters(depth)
        self.embed_dim = width
        self.widths: tuple[int, ...] = (width,) * len(self.taps)
        self.patches = nn.Conv3d(in_channels, width, patch_size, stride=patch_size)
        self.positions = nn.Parameter(torch.empty(1, math.prod(self.table_grid), width))
        rates = [drop_path * number / max(depth - 1, 1) for number in range(depth)]
        self.blocks = nn.ModuleList([Block(width, heads, rate) for rate in rates])
        self.norm = nn.LayerNorm(width)
        self._initialise()

    def forward(self, volume: Float[Tensor, "b i x y z"], keep: Int[Tensor, "b m"] | None = None) -> EncoderOutput:
        """Encodes volumes.

        Args:
            volume: Edges are multiples of ``patch_size``.
            keep: Numbers of the only tokens to encode, in C order of the grid. The output then holds these tokens in
                this order, the full grid, and no pyramid.

        Raises:
            ConfigError: The volumes cannot be cut into patches.
        """
        grid = patch_grid((volume.shape[2], volume.shape[3], volume.shape[4]), self.patch_size)
        tokens = embed_patches(volume, self.patches) + resize_table(self.positions, self.table_grid, grid)
        angles = rotary_angles(grid, self.embed_dim // self.heads, tokens.device).unsqueeze(0)
        if keep is not None:
            tokens, angles = take_tokens(tokens, keep), take_tokens(angles.expand(len(keep), -1, -1), keep)
        states = []
        for block in self.blocks:
            tokens = block(tokens, angles)
            states.append(tokens)
        states[-1] = self.norm(states[-1])
        return tapped(states, grid, self.taps, whole=keep is None)

    @torch.no_grad()
    def _initialise(self) -> None:
        """As published: normal weights of deviation 0.02, the projections of deeper blocks smaller."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.trunc_normal_(self.positions, std=0.02)
        he_init(self.patches)
        for number, block in enumerate(self.blocks, start=1):
            for layer in (block.attention.project, block.feed_forward.project):  # type: ignore[union-attr]
                layer.weight /= math.sqrt(2 * number)  # type: ignore[union-attr, operator]


def he_init(layer: nn.Conv3d | nn.ConvTranspose3d) -> None:
    """Draws a convolution's weights as Primus does: He et al. 2015 for a leaky slope of 0.01; the bias is zero."""
    nn.init.kaiming_normal_(layer.weight, a=0.01)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
