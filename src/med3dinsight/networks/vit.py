"""``vit`` for segmentation: a linear head on the tokens, upsampled (SETR's naive decoder in 3D)."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..encoders.vit import ViTEncoder


class ViTSegmenter(nn.Module):
    """Classifies every token and interpolates the scores trilinearly to full size.

    Args:
        encoder: The ViT.
        num_classes: Classes with background.
    """

    def __init__(self, encoder: ViTEncoder, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(
            nn.LayerNorm(encoder.embed_dim),
            nn.Linear(encoder.embed_dim, encoder.embed_dim // 4),
            nn.GELU(),
            nn.Linear(encoder.embed_dim // 4, num_classes),
        )

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b c x y z"]:
        """Returns class scores at the input's size."""
        encoded = self.encoder(volume)
        scores = self.head(encoded.tokens).transpose(1, 2).unflatten(2, encoded.grid)
        return F.interpolate(scores, size=volume.shape[2:], mode="trilinear")
