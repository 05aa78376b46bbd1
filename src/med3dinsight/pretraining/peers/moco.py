"""``moco``: momentum contrast, third version. A student's view finds the other view as a slow teacher sees it."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from ...losses.momentum_contrast import momentum_contrast
from ...readouts.online import embedding_spread, matching_accuracy
from ..config import PretrainConfig
from ..objective import Inputs, Represented, Terms
from ..pool import Pool
from ..projection import perceptron, pooled
from ..teacher import Teacher
from ..views import draw_two_views

#: Hidden width of the heads over that of their output (the paper's 4096 over 256 is 16).
HIDDEN = 4


class MoCo(nn.Module):
    r"""MoCo v3 (Chen et al. 2021, arXiv 2104.02057).

    .. math:: L = \mathrm{ctr}(q_1, k_2) + \mathrm{ctr}(q_2, k_1)

    with queries q = predictor(projector(encoder(view))) and keys k of a teacher, the slow copy of encoder and
    projector; see :func:`momentum_contrast`. Projector of three layers and predictor of two, with batch norm, as
    there; the teacher's momentum rises to 1 along half a cosine.

    Departs from the paper in: heads of 4 instead of 16 times the output's width inside; views as in :mod:`..views`;
    the mean of the tokens instead of a class token; the patch embedding trains too; the teacher drops nothing.

    Args:
        config: Resolved settings.
        encoder: The 3D encoder.
        pool: What will be drawn.
    """

    pairs_per_volume = 2

    def __init__(self, config: PretrainConfig, encoder: nn.Module, pool: Pool) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        width, out = cast(int, encoder.embed_dim), config.projection_width
        self.project = perceptron((width, HIDDEN * out, HIDDEN * out, out), norm=True, last_norm=True)
        self.predict = perceptron((out, HIDDEN * out, out), norm=True, last_norm=True)
        momentum = cast(float, config.teacher_momentum)
        self.teacher = Teacher(encoder, momentum, config.steps)
        self.teacher_project = Teacher(self.project, momentum, config.steps)

    def draw(self, pool: Pool, step: int) -> Inputs:
        """Draws two views of each crop."""
        return {"views": draw_two_views(self.config, pool, step)}

    def represent(self, inputs: Inputs) -> Represented:
        """Returns the mean tokens of both views by student and teacher, ``(b, 2, c)`` each."""
        views = inputs["views"].flatten(0, 1)
        student = pooled(self.encoder(views).tokens)
        with torch.no_grad():
            teacher = pooled(self.teacher.module(views).tokens)
        return {"student": student.unflatten(0, (-1, 2)), "teacher": teacher.unflatten(0, (-1, 2))}

    def loss(self, represented: Represented, inputs: Inputs) -> Terms:
        """Both orders of the contrast."""
        queries, keys = self._compared(represented)
        temperature = cast(float, self.config.temperature)
        ways = [momentum_contrast(queries[:, view], keys[:, 1 - view], temperature) for view in (0, 1)]
        return Terms(ways[0] + ways[1])

    @torch.no_grad()
    def read_out(self, represented: Represented, inputs: Inputs) -> dict[str, float]:
        """Returns the share of queries that find their key, and the rank of the student's mean tokens."""
        queries, keys = (side.cpu() for side in self._compared(represented))
        found = [matching_accuracy(queries[:, view], keys[:, 1 - view]) for view in (0, 1)]
        return {"accuracy": sum(found) / 2, "spread": embedding_spread(represented["student"].flatten(0, 1).cpu())}

    def _compared(self, represented: Represented) -> tuple[torch.Tensor, torch.Tensor]:
        """Queries and keys, ``(b, 2, e)`` each. The views go through the heads one by one, as the paper's do."""
        queries = [self.predict(self.project(view)) for view in represented["student"].unbind(1)]
        with torch.no_grad():
            keys = [self.teacher_project.module(view) for view in represented["teacher"].unbind(1)]
        return torch.stack(queries, 1), torch.stack(keys, 1)

    def after_step(self, step: int) -> None:
        """Moves the teacher towards the student."""
        self.teacher.follow(self.encoder, step)
        self.teacher_project.follow(self.project, step)
