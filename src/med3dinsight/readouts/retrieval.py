"""Retrieval: given a slice's features, which of the volumes' answers is its own, and the other way round?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .ranking import first_places, places

#: Queries whose similarities to all candidates are held at once.
ROWS = 1024


@dataclass(frozen=True)
class RetrievalScores:
    """How well one direction retrieves.

    Attributes:
        recall: ``{k: share of queries whose own candidate is among the first k}``.
        chance: The same for candidates in random order.
        median_rank: Median place of the own candidate, 1 is best; tied ones share the mean of their places.
        chance_median_rank: The same for candidates in random order.
        candidates: How many there were, as many as queries.
    """

    recall: dict[int, float]
    chance: dict[int, float]
    median_rank: float
    chance_median_rank: float
    candidates: int


def retrieval(
    queries: Float[Tensor, "m e"], candidates: Float[Tensor, "m e"], at: Sequence[int] = (1, 5, 10)
) -> RetrievalScores:
    """Ranks all candidates by cosine similarity to each query; row i belongs to row i, ties are drawn.

    Rows that cannot be told apart (two slices with the very same caption) are ties and count for what a draw gives.

    Args:
        queries: One row a query.
        candidates: One row a candidate.
        at: The k of R@k.

    Example:
        >>> retrieval(torch.eye(4), torch.eye(4)).recall
        {1: 1.0, 5: 1.0, 10: 1.0}
    """
    queries, candidates = F.normalize(queries.float(), dim=-1), F.normalize(candidates.float(), dim=-1)
    parts = []
    for start in range(0, len(queries), ROWS):
        scores = queries[start : start + ROWS] @ candidates.T
        own = scores.gather(-1, torch.arange(start, start + len(scores), device=scores.device).unsqueeze(-1))
        parts.append(places(scores, own))
    better, tied = (torch.cat(side) for side in zip(*parts, strict=True))
    count = len(candidates)
    return RetrievalScores(
        recall={k: float(first_places(better, tied, k).mean()) for k in at},
        chance={k: min(k / count, 1.0) for k in at},
        median_rank=float((better + (tied + 1) / 2).quantile(0.5)),
        chance_median_rank=(count + 1) / 2,
        candidates=count,
    )


def both_ways(
    one: Float[Tensor, "m e"], other: Float[Tensor, "m e"], at: Sequence[int] = (1, 5, 10)
) -> tuple[RetrievalScores, RetrievalScores]:
    """Retrieves ``other`` by ``one``, and ``one`` by ``other``; see :func:`retrieval`."""
    return retrieval(one, other, at), retrieval(other, one, at)
