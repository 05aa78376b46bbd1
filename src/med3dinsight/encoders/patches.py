"""Cutting volumes into patches: which sizes can be, and position tables for the grids that come out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..errors import ConfigError
from ..types import Shape3


def patch_grid(size: Shape3, patch_size: int) -> Shape3:
    """Returns the patches along x, y, z of a volume.

    Args:
        size: Voxels along x, y, z.
        patch_size: Edge of a patch in voxels.

    Raises:
        ConfigError: An edge is no multiple of ``patch_size``; the hint names the nearest sizes that are.

    Example:
        >>> patch_grid((32, 32, 48), 16)
        (2, 2, 3)
    """
    if any(edge % patch_size or edge < patch_size for edge in size):
        low = [max(edge // patch_size, 1) * patch_size for edge in size]
        high = [max(-(-edge // patch_size), 1) * patch_size for edge in size]
        if len(set(size)) == 1:
            what = f"a cube of {size[0]} voxels"
            nearest = f"{low[0]} or {max(high[0], low[0] + patch_size)}"
        else:
            what = f"a volume of {_by(size)} voxels"
            nearest = " or ".join(dict.fromkeys((_by(low), _by(high))))
        raise ConfigError(
            f"{what} cannot be cut into patches of {patch_size}", f"use a multiple of {patch_size}, such as {nearest}"
        )
    return size[0] // patch_size, size[1] // patch_size, size[2] // patch_size


def _by(size: Shape3 | list[int]) -> str:
    return " x ".join(str(edge) for edge in size)


def embed_patches(volume: Float[Tensor, "b i x y z"], convolution: nn.Conv3d) -> Float[Tensor, "b n c"]:
    """Embeds patches by one matrix product: what a convolution gives whose kernel is its stride.

    In fp32 it is as fast as the convolution; in bf16 on CPUs the gradient of such a convolution alone takes longer than
    all blocks of a ViT-B at batch 4.

    Args:
        volume: Edges are multiples of the kernel's.
        convolution: Its weights are used; kernel and stride are one.
    """
    edge = convolution.kernel_size[0]
    b, i, *size = volume.shape
    x, y, z = (length // edge for length in size)
    blocks = volume.reshape(b, i, x, edge, y, edge, z, edge).permute(0, 2, 4, 6, 1, 3, 5, 7)
    return F.linear(blocks.reshape(b, x * y * z, -1), convolution.weight.flatten(1), convolution.bias)


def resize_table(table: Float[Tensor, "1 n c"], made_for: Shape3, grid: Shape3) -> Float[Tensor, "1 m c"]:
    """Interpolates a position table trilinearly to another grid; to the same grid it stays as it is.

    Args:
        table: One vector a token, in C order of ``made_for``.
        made_for: Tokens along x, y, z of the table.
        grid: Tokens along x, y, z that are wanted.
    """
    if made_for == grid:
        return table
    maps = table.transpose(1, 2).unflatten(2, made_for)
    return F.interpolate(maps, size=grid, mode="trilinear").flatten(2).transpose(1, 2)


def take_tokens(tokens: Float[Tensor, "b n c"], keep: Int[Tensor, "b m"]) -> Float[Tensor, "b m c"]:
    """Returns the tokens whose numbers ``keep`` names, for each volume its own."""
    return torch.gather(tokens, 1, keep.unsqueeze(2).expand(-1, -1, tokens.shape[2]))


def as_map(tokens: Float[Tensor, "b n c"], grid: Shape3) -> Float[Tensor, "b c x y z"]:
    """Lays tokens out on their grid."""
    return tokens.transpose(1, 2).unflatten(2, grid)
