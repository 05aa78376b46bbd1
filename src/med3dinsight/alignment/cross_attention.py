"""Queries of many slices attend to the tokens of one volume, which are projected once."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .settings import PSATSettings


class CrossAttention(nn.Module):
    r"""Queries attend to the tokens of their volume, with the bias those near the slice's plane first.

    .. math:: \mathrm{softmax}(q k^T / \sqrt{c} - a_h |x_{token} - x_{slice}|)\, v

    with a slope :math:`a_h \ge 0` a head, learned in the log domain, distances relative to the
    volume's edge (0..1).

    Args:
        settings: The PSAT's choices.
    """

    def __init__(self, settings: PSATSettings) -> None:
        super().__init__()
        self.num_heads = settings.num_heads
        self.dropout = settings.dropout
        width = settings.width
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        slopes = torch.logspace(0.5, 1.7, settings.num_heads)
        biased = settings.distance_bias and settings.module == "plane_slice"
        self.log_slopes = nn.Parameter(slopes.log()) if biased else None

    def forward(
        self,
        queries: Float[Tensor, "b k q c"],
        tokens: Float[Tensor, "b n c"],
        position: Float[Tensor, "b k c"] | None,
        distances: Float[Tensor, "b k n"],
    ) -> Float[Tensor, "b k q c"]:
        """Returns the attended values, one set of queries a slice.

        The same position vector is added to all tokens of a volume. Seen from one query that shifts every
        logit by the same amount, which softmax ignores, so only the values need it: the tokens are
        projected once a volume instead of once a slice, with the same result.

        Args:
            queries: One set a slice.
            tokens: Of the volumes.
            position: Added to every token; None adds nothing.
            distances: Between each token and the slice's plane.
        """
        b, k, q, _ = queries.shape
        query = self._heads(self.query(queries).reshape(b, k * q, -1))
        key, value = self._heads(self.key(tokens)), self._heads(self.value(tokens))
        logits = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        logits = logits.reshape(b, self.num_heads, k, q, -1)
        if self.log_slopes is not None:
            logits = logits - self.log_slopes.exp()[None, :, None, None, None] * distances[:, None, :, None, :]
        weights = F.dropout(logits.softmax(-1), self.dropout, self.training)
        attended = weights.reshape(b, self.num_heads, k * q, -1) @ value
        attended = attended.transpose(1, 2).reshape(b, k, q, -1)
        if position is not None:
            attended = attended + self._shift(position, weights)
        return self.out(attended)

    def _shift(self, position: Float[Tensor, "b k c"], weights: Float[Tensor, "b h k q n"]) -> Tensor:
        """The position's share of the attended values: its own value times the sum of the weights, 1 undropped."""
        shift = F.linear(position, self.value.weight).unsqueeze(2)
        if not (self.training and self.dropout):
            return shift
        mass = weights.sum(-1).permute(0, 2, 3, 1).unsqueeze(-1)
        return (mass * shift.unflatten(-1, (self.num_heads, -1))).flatten(-2)

    def _heads(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        return x.reshape(b, n, self.num_heads, c // self.num_heads).transpose(1, 2)
