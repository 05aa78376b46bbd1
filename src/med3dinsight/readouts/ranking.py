"""Who comes first, with ties."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

#: Cosine similarities that differ by less are equal.
TIE = 1e-6


def first_place(scores: Float[Tensor, "*n m"], own: Float[Tensor, "*n 1"]) -> Float[Tensor, "*n"]:
    """Returns the chance that the right one of m comes first when ties are drawn.

    Ties must not count as hits: candidates that all look alike would all be found.

    Args:
        scores: Similarities of m candidates.
        own: The similarity of the right one, which is among them.

    Example:
        >>> scores = torch.tensor([[0.9, 0.1, 0.1], [0.5, 0.5, 0.1], [0.2, 0.3, 0.1]])
        >>> first_place(scores, scores[:, :1]).tolist()
        [1.0, 0.5, 0.0]
    """
    beaten = (scores > own + TIE).any(-1)
    tied = ((scores - own).abs() <= TIE).sum(-1)
    return torch.where(beaten, 0.0, 1.0 / tied)
