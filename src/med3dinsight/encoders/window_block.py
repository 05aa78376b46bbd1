"""Blocks of windowed transformers: window attention and a feed-forward layer, each behind a norm, with identities."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .drop_path import DropPath
from .window_attention import WindowAttention


class FeedForward(nn.Module):
    """Two linear layers around a GELU.

    Args:
        dim: Channels.
        hidden: Channels between the layers.
    """

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(dim, hidden)
        self.linear2 = nn.Linear(hidden, dim)

    def forward(self, features: Float[Tensor, "*grid c"]) -> Float[Tensor, "*grid c"]:
        """Returns features of the same shape."""
        return self.linear2(F.gelu(self.linear1(features)))


class WindowBlock(nn.Module):
    """A block of Swin (Liu et al. 2021) on a 3D grid.

    Args:
        dim: Channels.
        attention: The window attention.
        shifted: Windows are shifted by half their edge.
        mlp_ratio: Width of the feed-forward layers relative to ``dim``.
        drop_path: Share of samples for which training leaves a branch out.
    """

    def __init__(
        self, dim: int, attention: WindowAttention, shifted: bool, *, mlp_ratio: float = 4.0, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.shifted = shifted
        self.norm1 = nn.LayerNorm(dim)
        self.attn = attention
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = FeedForward(dim, int(dim * mlp_ratio))
        self.drop_path = DropPath(drop_path)

    def forward(self, features: Float[Tensor, "b x y z c"]) -> Float[Tensor, "b x y z c"]:
        """Returns features of the same shape."""
        features = features + self.drop_path(self.attn(self.norm1(features), self.shifted))
        return features + self.drop_path(self.mlp(self.norm2(features)))
