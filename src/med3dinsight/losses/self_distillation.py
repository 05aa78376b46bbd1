"""The loss of DINO: views of a student predict what a centred, sharpened teacher says of other views."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from .precision import full_precision, without_autocast


def self_distillation(
    student: Float[Tensor, "b v k"],
    teacher: Float[Tensor, "b g k"],
    centre: Float[Tensor, " k"],
    student_temperature: float | int = 0.1,
    teacher_temperature: float | int = 0.04,
) -> Float[Tensor, ""]:
    r"""Cross entropy between the teacher's and the student's choice among prototypes.

    .. math:: -\sum_k P_t(x)_k \log P_s(x')_k, \quad
        P_t = \mathrm{softmax}((g_t - c) / \tau_t), \; P_s = \mathrm{softmax}(g_s / \tau_s)

    averaged over examples and over all pairs of different views x (the teacher's) and x' (the student's), of which the
    first g are the same views (Caron et al. 2021, arXiv 2104.14294, eq. 1 to 3). The teacher gets no gradient.

    Args:
        student: Scores of the prototypes for each view.
        teacher: Scores for the global views.
        centre: c, the running mean of the teacher's scores.
        student_temperature: :math:`\tau_s` > 0.
        teacher_temperature: :math:`\tau_t` > 0.

    Returns:
        A scalar; log k where both say nothing.
    """
    with without_autocast(student):
        says = F.softmax((full_precision(teacher.detach()) - centre) / teacher_temperature, dim=-1)
        guesses = F.log_softmax(full_precision(student) / student_temperature, dim=-1)
        pairs = -torch.einsum("bgk,bvk->bgv", says, guesses).mean(0)
        views, of_student = pairs.shape
        other = [(x, y) for x in range(views) for y in range(of_student) if x != y]
        return pairs[[x for x, _ in other], [y for _, y in other]].mean()
