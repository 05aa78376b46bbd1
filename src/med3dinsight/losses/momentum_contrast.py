"""The contrastive loss of MoCo v3: queries of the student against keys of its slow teacher."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..errors import ConfigError
from .precision import full_precision, without_autocast


def momentum_contrast(
    queries: Float[Tensor, "b e"], keys: Float[Tensor, "b e"], temperature: float | int = 0.2
) -> Float[Tensor, ""]:
    r"""InfoNCE of queries against the keys of the batch, one way; keys get no gradient.

    .. math:: -2\tau \log \frac{\exp(\cos(q_i, k_i) / \tau)}{\sum_j \exp(\cos(q_i, k_j) / \tau)}

    (Chen et al. 2021, arXiv 2104.02057, eq. 1 and algorithm 1, whose factor keeps the size of the gradient alike for
    all temperatures). The method adds it for both orders of two views.

    Args:
        queries: Predictions of the student.
        keys: Projections of the teacher.
        temperature: :math:`\tau` > 0.

    Returns:
        A scalar; :math:`2\tau \log b` for uninformative queries.

    Raises:
        ConfigError: There is only one pair.

    Example:
        >>> momentum_contrast(torch.eye(2), torch.eye(2), temperature=0.01).item() < 1e-6
        True
    """
    if queries.shape[0] < 2:
        raise ConfigError("a contrastive loss needs at least two volumes", "raise pretrain.batch_volumes")
    with without_autocast(queries):
        student, teacher = (F.normalize(full_precision(side), dim=-1) for side in (queries, keys.detach()))
        logits = student @ teacher.T / temperature
        return 2 * temperature * F.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
