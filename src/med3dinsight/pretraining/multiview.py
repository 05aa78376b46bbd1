"""``multiview``: text-informed alignment of several views of a volume, in our reading of T3D's third version."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..losses.subject_contrast import subject_contrast
from ..readouts.online import embedding_spread
from ..training.seeding import step_generator
from .config import PretrainConfig
from .objective import Inputs, Represented, Terms
from .paired_crops import draw_pairs, mean_token, refuse_lonely, text_tokens
from .pool import Pool
from .projection import perceptron, pooled
from .text_block import TextQueries
from .text_informed import accuracy_among_people
from .views import plain_look, stack_views


class Multiview(nn.Module):
    r"""The third version of T3D (arXiv 2312.01529) as we read it: it aligns views under texts instead of restoring.

    .. math:: L = L_{InfoNCE}(v, r) + 1 - \frac{1}{2K} \sum_k \cos(h(l_{1k}), l_{2k}) + \cos(h(l_{2k}), l_{1k})

    - Two crops of one volume; v is their mean token, by one linear layer; r, for want of a report, is the mean text
      feature of the slices of both. Negatives are other people.
    - K of these texts ask the token maps of both crops (:class:`TextQueries`): the local features l of one text agree.

    The stop-gradient on the right side and the predictor h are those of SimSiam (Chen & He 2021, arXiv 2011.10566):
    agreement alone would be had by making everything alike; ``local_spread`` in the log tells. K is
    ``pretrain.slices_per_volume``. Without texts nothing is left of it.

    Args:
        config: Resolved settings.
        encoder: The 3D encoder.
        pool: What will be drawn; tells the width of the features.

    Raises:
        ConfigError: There is one person, or every volume has one crop.
    """

    def __init__(self, config: PretrainConfig, encoder: nn.Module, pool: Pool) -> None:
        super().__init__()
        refuse_lonely(pool, config.method)
        self.config, self.encoder = config, encoder
        self.pairs_per_volume = cast(int, config.slices_per_volume)
        _, texts = pool.features()
        width = cast(int, encoder.embed_dim)
        self.project = nn.Linear(width, texts.shape[1])
        self.ask = TextQueries(width, texts.shape[1])
        self.predict = perceptron((width, max(width // 4, 8), width))

    def draw(self, pool: Pool, step: int) -> Inputs:
        """Draws two crops of each volume, their mean text, and K of their texts."""
        config, rng = self.config, step_generator(self.config.seed, step, "batch")
        _, texts = pool.features()
        drawn = draw_pairs(rng, pool, config.recipe.batch_volumes)
        crops = stack_views([[plain_look(rng, config, pool, crop) for crop in pair] for pair in drawn.pairs])
        report = mean_token(*text_tokens(rng, pool, [*drawn.pairs]))
        asked = []
        for pair in drawn.pairs:
            rows = np.array([row for crop in pair for row in pool.rows_of(crop)])
            asked.append(rng.choice(rows, self.pairs_per_volume, replace=len(rows) < self.pairs_per_volume))
        queries = texts[torch.from_numpy(np.stack(asked))]
        return {"crops": crops, "report": report, "queries": queries, "subjects": drawn.subjects}

    def represent(self, inputs: Inputs) -> Represented:
        """Returns the projected volumes ``(b, f)`` and the local features of both crops ``(b, 2, K, c)``."""
        crops = inputs["crops"]
        tokens = self.encoder(crops.flatten(0, 1)).tokens
        both = pooled(tokens).unflatten(0, (len(crops), 2)).mean(1)
        local = self.ask(tokens, inputs["queries"].repeat_interleave(2, dim=0))
        return {"volumes": self.project(both), "local": local.unflatten(0, (len(crops), 2))}

    def loss(self, represented: Represented, inputs: Inputs) -> Terms:
        """The global contrast and the local agreement."""
        temperature = cast(float, self.config.temperature)
        first, second = represented["local"].unbind(1)
        agreement = (self._agreement(first, second) + self._agreement(second, first)) / 2
        parts = {
            "report": subject_contrast(represented["volumes"], inputs["report"], inputs["subjects"], temperature),
            "local": 1 - agreement,
        }
        return Terms(parts["report"] + parts["local"], parts)

    def _agreement(self, local: Tensor, other: Tensor) -> Tensor:
        return F.cosine_similarity(self.predict(local), other.detach(), dim=-1).mean()

    def read_out(self, represented: Represented, inputs: Inputs) -> dict[str, float]:
        """Returns the share of volumes that find their report among other people's, and both embeddings' ranks."""
        volumes, report = represented["volumes"].cpu(), inputs["report"].cpu()
        local = represented["local"].flatten(0, 2).cpu()
        return {
            "accuracy": accuracy_among_people(volumes, report, inputs["subjects"].cpu()),
            "spread": embedding_spread(volumes),
            "local_spread": embedding_spread(local),
        }

    def after_step(self, step: int) -> None:
        """Nothing moves but by the optimiser."""
