"""``gtgm``: generative text-guided pre-training. Two views of a crop agree, with each other and with a caption."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import nn

from ...losses.barlow import barlow_twins
from ...losses.infonce import infonce
from ...readouts.online import embedding_spread, matching_accuracy
from ...records import Crop
from ...training.seeding import step_generator
from ..config import PretrainConfig
from ..objective import Inputs, Represented, Terms
from ..pool import Pool
from ..projection import pooled
from ..views import draw_view, stack_views

#: Weight of the redundancy reduction between the views.
VIEWS_WEIGHT = 0.01


class GTGM(nn.Module):
    r"""GTGM (Chen et al. 2023, arXiv 2306.04811): captions that were generated for slices guide volumes.

    .. math:: L = \mathrm{CLIP}(v_1, t) + \mathrm{CLIP}(v_2, t) + 0.01\, \mathrm{Barlow}(v_1, v_2)

    with two views v of a crop and the caption t of the slice nearest to the crop's centre; see :func:`infonce`
    (:math:`\tau` = .07) and :func:`barlow_twins` (:math:`\lambda` = .0051). With ``pretrain.no_text`` the views alone
    are left: Barlow Twins.

    Departs from the paper in: captions are of slices of three planes, and of those equally near to the centre one is
    drawn; the text keeps the projection that ``embed`` gave it, whose width the volume's projection takes (there
    512); views as in :mod:`..views`.

    Args:
        config: Resolved settings.
        encoder: The 3D encoder.
        pool: What will be drawn; tells the width of the features.
    """

    pairs_per_volume = 2

    def __init__(self, config: PretrainConfig, encoder: nn.Module, pool: Pool) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        _, texts = pool.features()
        self.project = nn.Linear(cast(int, encoder.embed_dim), texts.shape[1])

    def draw(self, pool: Pool, step: int) -> Inputs:
        """Draws two views of each crop, and the text of a slice nearest to its centre."""
        config, rng = self.config, step_generator(self.config.seed, step, "batch")
        _, texts = pool.features()
        crops = pool.draw_crops(rng, config.recipe.batch_volumes)
        views = stack_views([[draw_view(rng, config, pool, crop) for _ in range(2)] for crop in crops])
        rows = [nearest_to_centre(rng, pool, crop) for crop in crops]
        return {"views": views, "text": texts[torch.tensor(rows)]}

    def represent(self, inputs: Inputs) -> Represented:
        """Returns the projections of both views, ``(b, 2, f)``."""
        views = inputs["views"]
        return {"views": self.project(pooled(self.encoder(views.flatten(0, 1)).tokens)).unflatten(0, (len(views), 2))}

    def loss(self, represented: Represented, inputs: Inputs) -> Terms:
        """Both views with the text, and with each other."""
        first, second = represented["views"].unbind(1)
        parts = {"views": barlow_twins(first, second)}
        if self.config.no_text:
            return Terms(parts["views"], parts)
        temperature = cast(float, self.config.temperature)
        parts["text"] = infonce(first, inputs["text"], temperature) + infonce(second, inputs["text"], temperature)
        return Terms(parts["text"] + VIEWS_WEIGHT * parts["views"], parts)

    def read_out(self, represented: Represented, inputs: Inputs) -> dict[str, float]:
        """Returns the shares of first views that find their text and their second view, and the rank."""
        first, second = represented["views"].cpu().unbind(1)
        found = {"view_accuracy": matching_accuracy(first, second)}
        if not self.config.no_text:
            found["text_accuracy"] = matching_accuracy(first, inputs["text"].cpu())
        return {**found, "spread": embedding_spread(represented["views"].flatten(0, 1).cpu())}

    def after_step(self, step: int) -> None:
        """Nothing moves but by the optimiser."""


def nearest_to_centre(rng: np.random.Generator, pool: Pool, crop: Crop) -> int:
    """Returns the row of the slice that passes nearest to a crop's centre, of those that show something."""
    rows = pool.rows_of(crop)
    away = np.array([abs(pool.slices[row].relative_position - 0.5) for row in rows])
    return int(rng.choice(np.array(rows)[np.isclose(away, away.min())]))
