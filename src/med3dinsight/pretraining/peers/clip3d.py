"""``clip3d``: a volume and its texts find each other. The plain way to teach a 3D encoder by language."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...losses.alignment import build_alignment_loss
from ...readouts.online import embedding_spread, matching_accuracy
from ...training.seeding import step_generator
from ..config import PretrainConfig
from ..objective import Inputs, Represented, Terms
from ..pool import Pool
from ..projection import pooled
from ..psat_choices import alignment_settings
from ..views import plain_looks


class VolumeCLIP(nn.Module):
    """CLIP of volumes and captions (Radford et al. 2021, arXiv 2103.00020): symmetric InfoNCE, one pair a crop.

    The mean of a crop's tokens, by one linear layer, against the mean of the text features of all its slices that show
    something. It knows no planes and no slices: what it lacks against PSAT is what PSAT is for.

    Departs from CLIP in: the text tower is frozen and its projected features stay as ``embed`` has made them, as for
    every method here; the temperature is fixed unless ``pretrain.learn_temperature`` is set; crops of one person that
    meet in a batch are negatives, as any others. ``pretrain.alignment`` may name another loss.

    Args:
        config: Resolved settings.
        encoder: The 3D encoder.
        pool: What will be drawn; tells the width of the features.
    """

    pairs_per_volume = 1

    def __init__(self, config: PretrainConfig, encoder: nn.Module, pool: Pool) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        _, texts = pool.features()
        self.project = nn.Linear(cast(int, encoder.embed_dim), texts.shape[1])
        settings = alignment_settings(config)
        self.align = build_alignment_loss(texts.shape[1], settings)

    def draw(self, pool: Pool, step: int) -> Inputs:
        """Draws crops, and the mean text of each."""
        config, rng = self.config, step_generator(self.config.seed, step, "batch")
        _, texts = pool.features()
        crops = pool.draw_crops(rng, config.recipe.batch_volumes)
        volumes, _ = plain_looks(rng, config, pool, crops)
        means = [F.normalize(texts[torch.tensor(pool.rows_of(crop))], dim=1).mean(0) for crop in crops]
        return {"volumes": volumes, "text": torch.stack(means)}

    def represent(self, inputs: Inputs) -> Represented:
        """Returns the projected volumes, ``(b, f)``."""
        return {"volumes": self.project(pooled(self.encoder(inputs["volumes"]).tokens))}

    def loss(self, represented: Represented, inputs: Inputs) -> Terms:
        """The alignment of volumes and texts."""
        floor = self.align.floor(len(inputs["text"]))
        aligned: Tensor = self.align(represented["volumes"], inputs["text"])
        return Terms(aligned, floor=floor)

    def read_out(self, represented: Represented, inputs: Inputs) -> dict[str, float]:
        """Returns the share of volumes that find their text, and the rank of the projected volumes."""
        volumes = represented["volumes"].cpu()
        return {"accuracy": matching_accuracy(volumes, inputs["text"].cpu()), "spread": embedding_spread(volumes)}

    def after_step(self, step: int) -> None:
        """Nothing moves but by the optimiser."""
