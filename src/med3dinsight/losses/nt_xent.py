"""NT-Xent, the contrastive loss of SimCLR: every view against all others of the batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..errors import ConfigError
from .precision import full_precision, without_autocast


def nt_xent(
    first: Float[Tensor, "b e"], second: Float[Tensor, "b e"], temperature: float | int = 0.1
) -> Float[Tensor, ""]:
    r"""Normalised temperature-scaled cross entropy of two views.

    .. math:: \ell_{ij} = -\log \frac{\exp(\cos(z_i, z_j) / \tau)}{\sum_{k \ne i} \exp(\cos(z_i, z_k) / \tau)}

    averaged over all 2b views, each with its partner j as the right one and the 2(b - 1) views of other examples as
    negatives (Chen et al. 2020, arXiv 2002.05709, eq. 1).

    Args:
        first: A projection of each example's first view.
        second: Of the second view.
        temperature: :math:`\tau` > 0.

    Returns:
        A scalar; log(2b - 1) for uninformative projections.

    Raises:
        ConfigError: There is only one example.

    Example:
        >>> nt_xent(torch.eye(2), torch.eye(2), temperature=0.01).item() < 1e-6
        True
    """
    if first.shape[0] < 2:
        raise ConfigError("a contrastive loss needs at least two volumes", "raise pretrain.batch_volumes")
    with without_autocast(first):
        views = F.normalize(full_precision(torch.cat([first, second])), dim=-1)
        itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
        logits = (views @ views.T / temperature).masked_fill(itself, -torch.inf)
        partner = torch.arange(len(views), device=views.device).roll(len(first))
        return F.cross_entropy(logits, partner)
