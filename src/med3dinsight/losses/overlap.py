"""The losses of VoCo: where a crop lies is told by how much it overlaps base crops, which stay apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .precision import full_precision, without_autocast

#: Keeps the logarithm finite where a similarity is wholly wrong.
EPSILON = 1e-6


def overlap_prediction(
    crops: Float[Tensor, "b e"], bases: Float[Tensor, "b n e"], overlaps: Float[Tensor, "b n"]
) -> Float[Tensor, ""]:
    r"""How far the similarities to base crops are from the shares of the crop that lie in them.

    .. math:: -\frac{1}{n} \sum_i \log(1 - |y_i - l_i|), \quad l_i = \max(\cos(q, p_i), 0)

    averaged over crops; bases get no gradient here (Wu et al. 2024, arXiv 2402.17300, eq. 2 to 4).

    Args:
        crops: q, one random crop of each volume.
        bases: p, the base crops of the same volume.
        overlaps: y, in [0, 1]; the share of the crop that lies in each base crop.
    """
    with without_autocast(crops):
        q, p = F.normalize(full_precision(crops), dim=-1), F.normalize(full_precision(bases.detach()), dim=-1)
        similarity = torch.einsum("be,bne->bn", q, p).clamp(min=0)
        wrong = (full_precision(overlaps) - similarity).abs()
        return -(1 - wrong).clamp(min=EPSILON).log().mean()


def base_discrepancy(bases: Float[Tensor, "b n e"]) -> Float[Tensor, ""]:
    r"""How alike the base crops of a volume are.

    .. math:: \frac{2}{n(n - 1)} \sum_{i < j} |\cos(p_i, p_j)|

    averaged over volumes (Wu et al. 2024, arXiv 2402.17300, eq. 5).

    Args:
        bases: The base crops of each volume.
    """
    with without_autocast(bases):
        p = F.normalize(full_precision(bases), dim=-1)
        alike = (p @ p.transpose(1, 2)).abs()
        count = bases.shape[1]
        above = torch.triu_indices(count, count, offset=1, device=bases.device)
        return alike[:, above[0], above[1]].mean()
