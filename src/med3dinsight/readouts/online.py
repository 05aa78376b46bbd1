"""Read-outs that cost nothing while training: does the matching work, and has the embedding collapsed?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .ranking import first_place

#: Share of the further directions that answers could use, besides the one that they always have, below which they
#: have collapsed. The effective rank counts small directions nearly fully: answers scattered by 1 degree about one
#: direction use 2 to 4 % of them, for 8 to 1000 answers of width 128 to 512; by 3 degrees, 7 to 11 %.
COLLAPSED = 0.02
#: Directions that must be possible before a verdict is.
ROOM = 4


def matching_accuracy(answers: Float[Tensor, "m e"], targets: Float[Tensor, "m e"]) -> float:
    """Share of answers whose own target is the most similar one of the batch; chance is 1 / m, ties are drawn.

    Example:
        >>> matching_accuracy(torch.eye(3), torch.eye(3))
        1.0
    """
    similarity = F.normalize(answers, dim=-1) @ F.normalize(targets, dim=-1).T
    return float(first_place(similarity, similarity.diagonal().unsqueeze(-1)).mean())


def embedding_spread(answers: Float[Tensor, "m e"]) -> float:
    r"""Effective number of directions that the answers use: 1 when they have collapsed.

    .. math:: \exp(-\sum_i p_i \log p_i), \quad p_i = \sigma_i / \sum \sigma

    over the singular values of the L2-normalised answers (effective rank, Roy & Vetterli 2007).
    """
    values = torch.linalg.svdvals(F.normalize(answers, dim=-1))
    share = values / values.sum().clamp(min=1e-12)
    entropy = -(share * share.clamp(min=1e-12).log()).sum()
    return float(entropy.exp())


def has_collapsed(spread: float, pairs: int, width: int) -> bool:
    r"""Says whether a spread means that all answers have become one.

    .. math:: \text{spread} < 1 + 0.02\,(\min(\text{pairs}, \text{width}) - 1)

    That is, all lie within about a degree of one direction. With less than :data:`ROOM` possible directions nothing
    can be said, and the verdict is no. Untrained networks answer much alike too: ask after the warm-up.

    Args:
        spread: Of :func:`embedding_spread`.
        pairs: Answers that it was taken over; where PSAT ignores positions, volumes instead.
        width: Width of the answers.

    Example:
        >>> has_collapsed(1.2, pairs=64, width=128), has_collapsed(9.0, pairs=64, width=128)
        (True, False)
    """
    room = min(pairs, width)
    return room >= ROOM and spread < 1 + COLLAPSED * (room - 1)
