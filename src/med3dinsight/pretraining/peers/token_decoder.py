"""The decoder of masked autoencoders: a light transformer from the tokens that were kept to the voxels of all."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ...encoders.encoder import token_positions
from ...types import Shape3

#: The decoder's greatest width, its head's width and its blocks.
WIDEST, HEAD, DEPTH = 256, 32, 2


class TokenDecoder(nn.Module):
    """Puts a learned token wherever one was dropped, and predicts the voxels of every patch.

    Args:
        embed_dim: Width of the encoder's tokens.
        patch_voxels: Voxels of a patch.
    """

    def __init__(self, embed_dim: int, patch_voxels: int) -> None:
        super().__init__()
        self.width = min(max(embed_dim // HEAD, 1) * HEAD, WIDEST)
        self.embed = nn.Linear(embed_dim, self.width)
        self.mask_token = nn.Parameter(torch.zeros(self.width))
        nn.init.normal_(self.mask_token, std=0.02)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                self.width, self.width // HEAD, 4 * self.width, 0.0, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(DEPTH)
        )
        self.norm = nn.LayerNorm(self.width)
        self.predict = nn.Linear(self.width, patch_voxels)

    def forward(
        self, tokens: Float[Tensor, "b m c"], order: Int[Tensor, "b n"], grid: Shape3
    ) -> Float[Tensor, "b n v"]:
        """Predicts all patches, in C order of the grid.

        Args:
            tokens: The tokens that were kept.
            order: The numbers of all tokens: first those kept, as ``tokens`` has them, then those dropped.
            grid: Tokens along x, y, z.
        """
        kept = self.embed(tokens)
        dropped = order.shape[1] - kept.shape[1]
        everything = torch.cat([kept, self.mask_token.to(kept.dtype).expand(len(kept), dropped, -1)], dim=1)
        place = order.argsort(1).unsqueeze(2).expand(-1, -1, self.width)
        states = everything.gather(1, place) + wave_positions(grid, self.width, kept.device).to(kept.dtype)
        for block in self.blocks:
            states = block(states)
        prediction: Tensor = self.predict(self.norm(states))
        return prediction


def wave_positions(grid: Shape3, width: int, device: torch.device | None = None) -> Float[Tensor, "n c"]:
    """Sines and cosines of the token numbers along x, y, z (Vaswani et al. 2017, a third of the width an axis).

    Args:
        grid: Tokens along x, y, z.
        width: Of the result; what cannot be shared by three axes stays 0.
        device: Where it is made.
    """
    number = token_positions(grid, device) * torch.tensor(grid, device=device)
    waves = width // 6
    lengths = torch.exp(-math.log(10_000) * torch.arange(waves, device=device) / max(waves, 1))
    angles = (number.unsqueeze(2) * lengths).flatten(1)
    table = torch.zeros(len(number), width, device=device)
    table[:, : 3 * waves], table[:, 3 * waves : 6 * waves] = angles.sin(), angles.cos()
    return table
