"""The vision transformer of timm, enough of it to load its published weights; see Dosovitskiy et al. 2021.

Module names are those of the weights' keys, so that a file loads strictly.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

#: Width of a head in every vision transformer that is published under a plain name.
HEAD_WIDTH = 64


class Attention(nn.Module):
    """Self-attention with one matrix for queries, keys and values."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD_WIDTH
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Attends."""
        batch, count, width = tokens.shape
        query, key, value = self.qkv(tokens).view(batch, count, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        result: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, count, width))
        return result


class Perceptron(nn.Module):
    """Two layers with a GELU between."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Maps each token."""
        result: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return result


class Block(nn.Module):
    """Attention and perceptron, each after a normalisation and beside an identity."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width, eps=1e-6), Attention(width)
        self.norm2, self.mlp = nn.LayerNorm(width, eps=1e-6), Perceptron(width, inner)

    def forward(self, tokens: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Returns tokens."""
        tokens = tokens + self.attn(self.norm1(tokens))
        result: Tensor = tokens + self.mlp(self.norm2(tokens))
        return result


class PatchEmbedding(nn.Module):
    """Patches of a picture to tokens."""

    def __init__(self, width: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b n d"]:
        """Returns a token a patch, row by row."""
        result: Tensor = self.proj(pictures).flatten(2).transpose(1, 2)
        return result


class TimmViT(nn.Module):
    """Pictures to the class token of the last layer, normalised.

    Args:
        width: Length of a token.
        inner: Width inside of the perceptrons.
        depth: Number of blocks.
        patch: Edge of a patch in pixels.
        tokens: Patches of a picture and the class token.
    """

    def __init__(self, width: int, inner: int, depth: int, patch: int, tokens: int) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, width))
        self.patch_embed = PatchEmbedding(width, patch)
        self.blocks = nn.ModuleList(Block(width, inner) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Returns a feature a picture."""
        patches = self.patch_embed(pictures)
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], 1) + self.pos_embed
        for block in self.blocks:
            tokens = block(tokens)
        result: Tensor = self.norm(tokens[:, 0])
        return result
