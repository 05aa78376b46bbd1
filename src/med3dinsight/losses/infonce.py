"""InfoNCE, the contrastive loss of CLIP and of Med3DInsight."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from ..errors import ConfigError
from .precision import full_precision, without_autocast


def infonce(
    answers: Float[Tensor, "m e"], targets: Float[Tensor, "m e"], temperature: float | int | Float[Tensor, ""] = 0.07
) -> Float[Tensor, ""]:
    r"""Symmetric InfoNCE of matching rows.

    .. math:: \tfrac12 [CE(s\, v t^T) + CE(s\, t v^T)], \quad s = 1/\tau

    with v, t L2-normalised and the diagonal as the right class (Radford et al. 2021; the form of the
    Med3DInsight authors' code).

    Args:
        answers: One vector a pair, from the volume.
        targets: The matching image or text features.
        temperature: :math:`\tau` > 0; a tensor where it is learned.

    Returns:
        A scalar; log m for uninformative answers.

    Raises:
        ConfigError: There is only one pair, for which the loss is constant.

    Example:
        >>> infonce(torch.eye(2), torch.eye(2), temperature=0.01).item() < 1e-6
        True
    """
    if answers.shape[0] < 2:
        raise ConfigError("a contrastive loss needs at least two pairs", "raise the batch size or slices per volume")
    with without_autocast(answers):
        v, t = F.normalize(full_precision(answers), dim=-1), F.normalize(full_precision(targets), dim=-1)
        logits = v @ t.T / temperature
        classes = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, classes) + F.cross_entropy(logits.T, classes)) / 2
