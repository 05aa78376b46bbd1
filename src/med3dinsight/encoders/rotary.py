"""Rotary position embedding in 3D: queries and keys are turned by angles that grow along x, y and z.

Su et al. 2021 (arXiv 2104.09864) for one axis; as in Primus (arXiv 2503.01835) each axis gets a third of a head's
channel pairs. A product of a turned query and a turned key depends on the distance between their tokens alone.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from ..types import Shape3

#: Longest wavelength over 2 pi, in tokens.
BASE = 10_000.0


def rotary_angles(grid: Shape3, head_dim: int, device: torch.device | None = None) -> Float[Tensor, "n pairs"]:
    """Returns the angle of every token and channel pair in radians, in C order of the grid.

    The first third of the pairs turns with x, the second with y, the third with z; within a third, pair k of K turns
    by ``BASE ** (-k / K)`` from a token to the next.

    Args:
        grid: Tokens along x, y, z.
        head_dim: Channels of an attention head; a multiple of 6.
        device: Where to.
    """
    bands = head_dim // 6
    speeds = BASE ** (-torch.arange(bands, dtype=torch.float32, device=device) / bands)
    axes = [torch.arange(size, dtype=torch.float32, device=device) for size in grid]
    places = torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, 3)
    return (places.unsqueeze(2) * speeds).flatten(1)


def turn(vectors: Float[Tensor, "b h n d"], angles: Float[Tensor, "#b n p"]) -> Float[Tensor, "b h n d"]:
    """Turns the channel pairs (0, 1), (2, 3) ... of each token's vector by its angles; precision stays as it is."""
    cos, sin = angles.cos().unsqueeze(1), angles.sin().unsqueeze(1)
    even, odd = vectors[..., 0::2], vectors[..., 1::2]
    turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1)
    return turned.flatten(3).to(vectors.dtype)
