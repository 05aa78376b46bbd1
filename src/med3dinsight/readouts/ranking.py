"""Who comes first, with ties."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

#: Cosine similarities that differ by less are equal.
TIE = 1e-6


def places(scores: Float[Tensor, "*n m"], own: Float[Tensor, "*n 1"]) -> tuple[Tensor, Tensor]:
    """Returns how many of m candidates are better than the right one, and how many are as good, itself included.

    Args:
        scores: Similarities of m candidates.
        own: The similarity of the right one, which is among them.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[0.9, 0.1, 0.1], [0.5, 0.5, 0.1]])
        >>> [side.tolist() for side in places(scores, scores[:, :1])]
        [[0, 0], [1, 2]]
    """
    return (scores > own + TIE).sum(-1), ((scores - own).abs() <= TIE).sum(-1)


def first_places(better: Tensor, tied: Tensor, count: int) -> Tensor:
    """Returns the chance that the right one is among the first ``count`` when ties are drawn.

    Ties must not count as hits: candidates that all look alike would all be found.

    Args:
        better: From :func:`places`.
        tied: From :func:`places`.
        count: Places that are looked at.

    Example:
        >>> import torch
        >>> first_places(torch.tensor([0, 1, 0]), torch.tensor([1, 1, 4]), 1).tolist()
        [1.0, 0.0, 0.25]
    """
    return ((count - better) / tied).clamp(0, 1)


def first_place(scores: Float[Tensor, "*n m"], own: Float[Tensor, "*n 1"]) -> Float[Tensor, "*n"]:
    """Returns the chance that the right one of m comes first when ties are drawn.

    Args:
        scores: Similarities of m candidates.
        own: The similarity of the right one, which is among them.

    Example:
        >>> import torch
        >>> scores = torch.tensor([[0.9, 0.1, 0.1], [0.5, 0.5, 0.1], [0.2, 0.3, 0.1]])
        >>> first_place(scores, scores[:, :1]).tolist()
        [1.0, 0.5, 0.0]
    """
    return first_places(*places(scores, own), 1)
