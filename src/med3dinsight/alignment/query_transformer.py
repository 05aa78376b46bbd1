"""The plane-slice-aware transformer (PSAT): what would the slice at (plane, position) look like?

Learnable queries attend to each other, then to the volume's tokens, then pass an MLP; the position
embedding of the slice asked for is added to the queries and to the tokens. One volume is encoded
once and may be asked at K positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from .position import PlaneSlicePositionEmbedding


@dataclass(frozen=True)
class PSATSettings:
    """Choices of a PSAT.

    Attributes:
        width: Width of queries (the paper: 512).
        num_queries: Learnable queries (the paper: 300).
        num_layers: Decoder layers (the paper's figure: 1).
        num_heads: Attention heads.
        ffn_width: Hidden width of the MLP.
        num_positions: Entries of the position table a plane.
        position_init: "zero" (the paper) or "normal" (the authors' code).
        pooling: How the queries' outputs become one vector: "mean" (ours, the paper is silent) or
            "first" (the authors' code).
        distance_bias: Adds to each attention logit minus a learned slope times the distance between
            token and slice plane (ours).
    """

    width: int = 128
    num_queries: int = 32
    num_layers: int = 1
    num_heads: int = 4
    ffn_width: int = 512
    num_positions: int = 128
    position_init: Literal["zero", "normal"] = "zero"
    pooling: Literal["mean", "first"] = "mean"
    distance_bias: bool = True


class CrossAttention(nn.Module):
    r"""Queries attend to the tokens of their volume, near the slice's plane first.

    .. math:: \mathrm{softmax}(q k^T / \sqrt{c} - a_h |x_{token} - x_{slice}|)\, v

    with a slope :math:`a_h \ge 0` a head, learned in the log domain, distances relative to the
    volume's edge (0..1).

    Args:
        settings: The PSAT's choices.
    """

    def __init__(self, settings: PSATSettings) -> None:
        super().__init__()
        self.num_heads = settings.num_heads
        width = settings.width
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        slopes = torch.logspace(0.5, 1.7, settings.num_heads)
        self.log_slopes = nn.Parameter(slopes.log()) if settings.distance_bias else None

    def forward(
        self,
        queries: Float[Tensor, "b k q c"],
        tokens: Float[Tensor, "b n c"],
        position: Float[Tensor, "b k c"],
        distances: Float[Tensor, "b k n"],
    ) -> Float[Tensor, "b k q c"]:
        """Returns the attended values, one set of queries a slice.

        The same position vector is added to all tokens of a volume. Seen from one query that shifts every
        logit by the same amount, which softmax ignores, so only the values need it: the tokens are
        projected once a volume instead of once a slice, with the same result.
        """
        b, k, q, _ = queries.shape
        query = self._heads(self.query(queries).reshape(b, k * q, -1))
        key, value = self._heads(self.key(tokens)), self._heads(self.value(tokens))
        logits = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        logits = logits.reshape(b, self.num_heads, k, q, -1)
        if self.log_slopes is not None:
            logits = logits - self.log_slopes.exp()[None, :, None, None, None] * distances[:, None, :, None, :]
        weights = logits.softmax(-1).reshape(b, self.num_heads, k * q, -1)
        attended = (weights @ value).transpose(1, 2).reshape(b, k, q, -1)
        shift = F.linear(position, self.value.weight)
        return self.out(attended + shift.unsqueeze(2))

    def _heads(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        return x.reshape(b, n, self.num_heads, c // self.num_heads).transpose(1, 2)


class DecoderLayer(nn.Module):
    """Self-attention among the queries, cross-attention to the tokens, MLP; post-norm, as in DETR.

    Args:
        settings: The PSAT's choices.
    """

    def __init__(self, settings: PSATSettings) -> None:
        super().__init__()
        width = settings.width
        self.self_attention = nn.MultiheadAttention(width, settings.num_heads, batch_first=True)
        self.cross_attention = CrossAttention(settings)
        self.mlp = nn.Sequential(nn.Linear(width, settings.ffn_width), nn.GELU(), nn.Linear(settings.ffn_width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))

    def forward(
        self,
        queries: Float[Tensor, "b k q c"],
        tokens: Float[Tensor, "b n c"],
        position: Float[Tensor, "b k c"],
        distances: Float[Tensor, "b k n"],
    ) -> Float[Tensor, "b k q c"]:
        """Returns updated queries of the same shape."""
        flat = queries.flatten(0, 1)
        mixed, _ = self.self_attention(flat, flat, flat, need_weights=False)
        queries = self.norms[0](queries + mixed.reshape(queries.shape))
        queries = self.norms[1](queries + self.cross_attention(queries, tokens, position, distances))
        return self.norms[2](queries + self.mlp(queries))


class PlaneSliceAwareTransformer(nn.Module):
    """Maps a volume's tokens and (plane, position) pairs to vectors in the towers' feature space.

    Med3DInsight (arXiv 2403.05141), section 2. Departs from the paper in: positions are relative and
    interpolated, K of them may be asked of one encoded volume, the attention may be biased by the distance
    to the plane, and the outputs of the queries are averaged (the paper does not say).

    Args:
        token_width: Width of the encoder's tokens.
        image_width: Width of the image features to match.
        text_width: Width of the text features to match.
        settings: See :class:`PSATSettings`.
    """

    def __init__(self, token_width: int, image_width: int, text_width: int, settings: PSATSettings) -> None:
        super().__init__()
        self.settings = settings
        width = settings.width
        self.input = nn.Linear(token_width, width)
        self.input_norm = nn.LayerNorm(width)
        self.queries = nn.Parameter(torch.randn(settings.num_queries, width) * width**-0.5)
        self.position = PlaneSlicePositionEmbedding(width, settings.num_positions, settings.position_init)
        self.layers = nn.ModuleList(DecoderLayer(settings) for _ in range(settings.num_layers))
        self.to_image = nn.Linear(width, image_width)
        self.to_text = nn.Linear(width, text_width)

    def forward(
        self,
        tokens: Float[Tensor, "b n t"],
        token_positions: Float[Tensor, "n 3"],
        planes: Int[Tensor, "b k"],
        positions: Float[Tensor, "b k"],
    ) -> tuple[Float[Tensor, "b k e"], Float[Tensor, "b k f"]]:
        """Asks volumes at K (plane, position) pairs each.

        Args:
            tokens: Encoder tokens.
            token_positions: Relative token centres along x, y, z, 0..1.
            planes: 0 axial, 1 coronal, 2 sagittal.
            positions: Relative slice positions along the plane's axis, 0..1.

        Returns:
            The vectors to compare with image features ``(b, k, e)`` and with text features ``(b, k, f)``,
            not normalised.
        """
        b, k = planes.shape
        memory = self.input_norm(self.input(tokens))
        position = self.position(planes, positions)
        along = token_positions[:, 2 - planes].permute(1, 2, 0)
        distances = (along - positions.unsqueeze(-1)).abs()
        queries = self.queries.expand(b, k, -1, -1) + position.unsqueeze(2)
        for layer in self.layers:
            queries = layer(queries, memory, position, distances)
        pooled = queries.mean(2) if self.settings.pooling == "mean" else queries[:, :, 0]
        return self.to_image(pooled), self.to_text(pooled)
