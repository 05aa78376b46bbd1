"""``simclr``: two views of a crop find each other among all views of the batch."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from ...losses.nt_xent import nt_xent
from ...readouts.online import embedding_spread, matching_accuracy
from ..config import PretrainConfig
from ..objective import Inputs, Represented, Terms
from ..pool import Pool
from ..projection import perceptron, pooled
from ..views import draw_two_views


class SimCLR(nn.Module):
    """SimCLR (Chen et al. 2020, arXiv 2002.05709): NT-Xent of two views, see :func:`nt_xent`.

    The mean of the tokens goes through a perceptron of one hidden layer, as wide as the tokens, with batch norm, to
    ``pretrain.projection_width``; it sees the whole batch, however the encoder's pass is cut.

    Departs from the paper in: views as in :mod:`..views`, without zoom and mirroring; AdamW instead of LARS; batches
    are small, where the paper's start at 256.

    Args:
        config: Resolved settings.
        encoder: The 3D encoder.
        pool: What will be drawn.
    """

    pairs_per_volume = 2

    def __init__(self, config: PretrainConfig, encoder: nn.Module, pool: Pool) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        width = cast(int, encoder.embed_dim)
        self.project = perceptron((width, width, config.projection_width), norm=True)

    def draw(self, pool: Pool, step: int) -> Inputs:
        """Draws two views of each crop."""
        return {"views": draw_two_views(self.config, pool, step)}

    def represent(self, inputs: Inputs) -> Represented:
        """Returns the mean tokens of both views, ``(b, 2, c)``."""
        views = inputs["views"]
        return {"views": pooled(self.encoder(views.flatten(0, 1)).tokens).unflatten(0, (len(views), 2))}

    def loss(self, represented: Represented, inputs: Inputs) -> Terms:
        """NT-Xent of the projections."""
        first, second = self._projected(represented)
        return Terms(nt_xent(first, second, cast(float, self.config.temperature)))

    @torch.no_grad()
    def read_out(self, represented: Represented, inputs: Inputs) -> dict[str, float]:
        """Returns the share of first views that find their second one, and the rank of the mean tokens."""
        first, second = self._projected(represented)
        spread = embedding_spread(represented["views"].flatten(0, 1).cpu())
        return {"accuracy": matching_accuracy(first.cpu(), second.cpu()), "spread": spread}

    def _projected(self, represented: Represented) -> tuple[torch.Tensor, ...]:
        views = represented["views"]
        projected: torch.Tensor = self.project(views.flatten(0, 1)).unflatten(0, (len(views), 2))
        return projected.unbind(1)

    def after_step(self, step: int) -> None:
        """Nothing moves but by the optimiser."""
