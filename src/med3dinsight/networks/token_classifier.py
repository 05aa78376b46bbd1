"""Classification on any encoder: the mean of its normalised tokens, and a linear layer."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from ..encoders.encoder import Encoder


class TokenClassifier(nn.Module):
    """Classifies whole volumes.

    Args:
        encoder: Any encoder.
        num_classes: Classes.
        dropout: Share of the mean token's values that training drops.
    """

    def __init__(self, encoder: Encoder, num_classes: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.norm = nn.LayerNorm(encoder.embed_dim)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(encoder.embed_dim, num_classes)

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b k"]:
        """Returns a score for each class (no softmax)."""
        tokens = self.norm(self.encoder(volume).tokens)
        return self.classify(self.dropout(tokens.mean(1)))
