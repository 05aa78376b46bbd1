"""What every 3D encoder gives: tokens with a grid, and a pyramid of feature maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..types import Shape3


@dataclass(frozen=True)
class EncoderOutput:
    """Features of a batch of volumes.

    Attributes:
        tokens: ``(b, n, c)``; token order is C order of ``grid``. An encoder that was asked to keep only some tokens
            gives these, in the order asked for.
        grid: Tokens along x, y, z; their product is n, or more where only some tokens were kept.
        pyramid: Feature maps from fine to coarse, each ``(b, c_i, x_i, y_i, z_i)``; may be empty.
    """

    tokens: Float[Tensor, "b n c"]
    grid: Shape3
    pyramid: tuple[Float[Tensor, "b _ _ _ _"], ...] = ()


@runtime_checkable
class Encoder(Protocol):
    """The protocol: a module whose call maps volumes to :class:`EncoderOutput`.

    Attributes:
        embed_dim: Width c of the tokens.
        widths: Channels c_i of the pyramid's maps, from fine to coarse.
    """

    embed_dim: int
    widths: tuple[int, ...]

    def __call__(self, volume: Float[Tensor, "b c x y z"]) -> EncoderOutput:
        """Encodes volumes with intensities in [0, 1]."""
        ...


@runtime_checkable
class TokenDropping(Protocol):
    """An encoder of patches that can encode some of its tokens alone, as masked autoencoders do.

    Attributes:
        takes_keep: Says so; without it every module with a patch size would pass for one.
        patch_size: Edge of a patch in voxels.
    """

    takes_keep: bool
    patch_size: int

    def forward(self, volume: Float[Tensor, "b i x y z"], keep: Int[Tensor, "b m"] | None = None) -> EncoderOutput:
        """Encodes volumes, or only their tokens of the numbers ``keep``: then there is no pyramid."""
        ...


def token_positions(grid: Shape3, device: torch.device | None = None) -> Float[Tensor, "n 3"]:
    """Returns the centres of tokens as relative positions along x, y, z, each in (0, 1).

    Example:
        >>> token_positions((1, 1, 2)).tolist()
        [[0.5, 0.5, 0.25], [0.5, 0.5, 0.75]]
    """
    axes = [(torch.arange(size, device=device) + 0.5) / size for size in grid]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
