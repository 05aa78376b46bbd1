"""``simmim``: masked image modelling without a decoder. One linear layer rebuilds what was covered."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import nn

from ...encoders.encoder import EncoderOutput
from ...errors import ConfigError
from ...training.seeding import step_generator
from ...types import Shape3
from ..config import PretrainConfig
from ..masking import draw_masks, grow
from ..objective import Inputs, Represented, Terms
from ..pool import Pool
from ..sizes import grid_of
from ..views import plain_looks


class SimMIM(nn.Module):
    r"""SimMIM (Xie et al. 2022, arXiv 2111.09886).

    .. math:: L = \frac{1}{|M|} \sum_{i \in M} |x_i - \hat x_i|

    over the covered voxels M; the prediction is one linear layer from every token of the encoder to the voxels that
    it stands for.

    Departs from the paper in: a covered block shows one learned block of voxels, which every encoder can read,
    instead of a learned token behind the patch embedding; where blocks are patches, the embedding of that block is
    such a token. Blocks have ``pretrain.mask_block`` voxels an edge (the paper's 32 pixels are the stride of its last
    map); contrast curves and shifts are the only augmentations.

    Args:
        config: Resolved settings.
        encoder: The 3D encoder.
        pool: What will be drawn; tells the size of the crops.

    Raises:
        ConfigError: The encoder's tokens do not divide the crops evenly.
    """

    pairs_per_volume = 1

    def __init__(self, config: PretrainConfig, encoder: nn.Module, pool: Pool) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        grid = grid_of(encoder, pool.crop_size)
        if any(pool.crop_size % tokens for tokens in grid):
            raise ConfigError(
                f"simmim's linear layer rebuilds whole voxels, and {config.encoder} makes {grid} tokens of a cube of "
                f"{pool.crop_size}",
                "take crops that the tokens divide evenly, or another method",
            )
        self.cell: Shape3 = cast(Shape3, tuple(pool.crop_size // tokens for tokens in grid))
        block = cast(int, config.mask_block)
        self.mask_token = nn.Parameter(torch.full((block, block, block), 0.5))
        self.head = nn.Linear(cast(int, encoder.embed_dim), math.prod(self.cell))

    def draw(self, pool: Pool, step: int) -> Inputs:
        """Draws crops, and the blocks of them that are covered."""
        config, rng = self.config, step_generator(self.config.seed, step, "batch")
        crops = pool.draw_crops(rng, config.recipe.batch_volumes)
        volumes, _ = plain_looks(rng, config, pool, crops)
        return {"volumes": volumes, "masks": draw_masks(rng, config, volumes.shape)}

    def represent(self, inputs: Inputs) -> Represented:
        """Returns each volume's error over its covered voxels, and the error of always guessing their mean."""
        volumes = inputs["volumes"]
        size: Shape3 = (volumes.shape[2], volumes.shape[3], volumes.shape[4])
        covered = grow(inputs["masks"], len(self.mask_token), size)
        rebuilt = self._rebuild(self.encoder(torch.where(covered, self._cover(size), volumes)))
        counted, true = covered.flatten(1), volumes.flatten(1)
        voxels = counted.sum(1)
        mean = (true * counted).sum(1) / voxels
        return {
            "error": ((rebuilt.float().flatten(1) - true).abs() * counted).sum(1) / voxels,
            "guess": ((true - mean.unsqueeze(1)).abs() * counted).sum(1) / voxels,
        }

    def _cover(self, size: Shape3) -> torch.Tensor:
        """The learned block, repeated over a volume."""
        cover: torch.Tensor = self.mask_token
        for axis, edge in enumerate(size):
            times = [1, 1, 1]
            times[axis] = -(-edge // len(self.mask_token))
            cover = cover.repeat(times).narrow(axis, 0, edge)
        return cover

    def _rebuild(self, encoded: EncoderOutput) -> torch.Tensor:
        """Lays the voxels that each token predicts in their place: ``(b, x, y, z)``."""
        cells = self.head(encoded.tokens).unflatten(1, encoded.grid).unflatten(4, self.cell)
        return cells.permute(0, 1, 4, 2, 5, 3, 6).flatten(5, 6).flatten(3, 4).flatten(1, 2)

    def loss(self, represented: Represented, inputs: Inputs) -> Terms:
        """The mean error."""
        return Terms(represented["error"].mean())

    def read_out(self, represented: Represented, inputs: Inputs) -> dict[str, float]:
        """Returns how much smaller the error is than by always guessing the covered voxels' mean, as a share."""
        return {"explained": 1 - float(represented["error"].sum() / represented["guess"].sum().clamp(min=1e-6))}

    def after_step(self, step: int) -> None:
        """Nothing moves but by the optimiser."""
