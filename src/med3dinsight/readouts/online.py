"""Read-outs that cost nothing while training: does the matching work, and has the embedding collapsed?"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .ranking import first_place


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
