"""InfoNCE whose negatives are other people: pairs of one person are never pushed apart."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import ConfigError
from .precision import full_precision, without_autocast


def subject_contrast(
    first: Float[Tensor, "b e"],
    second: Float[Tensor, "b e"],
    subjects: Int[Tensor, " b"],
    temperature: float | int = 0.07,
) -> Float[Tensor, ""]:
    r"""Symmetric InfoNCE of matching rows, without the pairs of different rows that belong to one person.

    .. math::
        -\frac{1}{2b} \sum_i \log \frac{e^{s_{ii}}}{e^{s_{ii}} + \sum_{j: p_j \ne p_i} e^{s_{ij}}}
        + \log \frac{e^{s_{ii}}}{e^{s_{ii}} + \sum_{j: p_j \ne p_i} e^{s_{ji}}}, \quad
        s_{ij} = \cos(u_i, v_j) / \tau

    with the person p of each row. Where all rows are different people it is InfoNCE (van den Oord et al. 2018; the
    symmetric form of Radford et al. 2021).

    Args:
        first: One vector u a row.
        second: The matching vectors v.
        subjects: A number for the person of each row.
        temperature: :math:`\tau` > 0.

    Raises:
        ConfigError: All rows belong to one person, for which the loss is constant.

    Example:
        >>> subject_contrast(torch.eye(3), torch.eye(3), torch.tensor([0, 1, 1]), 0.01).item() < 1e-6
        True
    """
    if not bool((subjects != subjects[0]).any()):
        raise ConfigError(
            "every volume of the step belongs to one person, and negatives are other people",
            "raise pretrain.batch_volumes to 2 or more, and pre-train on two people or more",
        )
    with without_autocast(first):
        u, v = F.normalize(full_precision(first), dim=-1), F.normalize(full_precision(second), dim=-1)
        logits = (u @ v.T / temperature).masked_fill(same_person(subjects), -torch.inf)
        right = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


def same_person(subjects: Int[Tensor, " b"]) -> torch.Tensor:
    """``(b, b)``, true for pairs of different rows of one person.

    Args:
        subjects: A number for the person of each row.
    """
    same = subjects[:, None] == subjects[None, :]
    return same & ~torch.eye(len(subjects), dtype=torch.bool, device=subjects.device)
