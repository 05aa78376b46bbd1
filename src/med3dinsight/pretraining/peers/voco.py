"""``voco``: a random crop tells where it lies by its likeness to base crops that tile the volume."""

from __future__ import annotations

from itertools import product
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ...losses.overlap import base_discrepancy, overlap_prediction
from ...readouts.online import embedding_spread
from ...training.seeding import step_generator
from ..config import PretrainConfig
from ..objective import Inputs, Represented, Terms
from ..pool import Pool
from ..projection import perceptron, pooled
from ..sizes import check_halves
from ..views import plain_look, stack_views

#: Base crops: the octants of a crop.
BASES = 8


class VoCo(nn.Module):
    """VoCo (Wu et al. 2024, CVPR, arXiv 2402.17300): :func:`overlap_prediction` plus :func:`base_discrepancy`.

    So that a step costs what other methods' cost, the pool's crop is the volume: its eight octants are the base
    crops, and a random cube of half its edge is to be placed among them.

    Departs from the paper in: 8 base crops in three directions instead of 4 x 4 in two; one random crop of each
    volume; one network with a stop-gradient at the bases' side of the prediction.

    Args:
        config: Resolved settings.
        encoder: The 3D encoder.
        pool: What will be drawn; tells the size of the crops.

    Raises:
        ConfigError: The encoder does not take half the crops' edge.
    """

    pairs_per_volume = BASES

    def __init__(self, config: PretrainConfig, encoder: nn.Module, pool: Pool) -> None:
        super().__init__()
        self.config, self.encoder = config, encoder
        self.inner_edge = check_halves(encoder, pool.crop_size, "voco", config.encoder)
        width = cast(int, encoder.embed_dim)
        self.project = perceptron((width, width, config.projection_width), norm=True)

    def draw(self, pool: Pool, step: int) -> Inputs:
        """Draws crops; returns their octants and, last, a random cube, with its overlap with each octant."""
        config, rng = self.config, step_generator(self.config.seed, step, "batch")
        cubes, shares = [], []
        for crop in pool.draw_crops(rng, config.recipe.batch_volumes):
            volume = plain_look(rng, config, pool, crop)
            origin = rng.integers(0, self.inner_edge + 1, 3)
            corners = [self.inner_edge * np.array(corner) for corner in product((0, 1), repeat=3)]
            cubes.append([_cube(volume, start, self.inner_edge) for start in (*corners, origin)])
            shares.append(octant_overlaps(origin, self.inner_edge))
        return {"cubes": stack_views(cubes), "overlaps": torch.from_numpy(np.stack(shares))}

    def represent(self, inputs: Inputs) -> Represented:
        """Returns the mean tokens of the octants and of the random cube, ``(b, 9, c)``."""
        cubes = inputs["cubes"]
        return {"cubes": pooled(self.encoder(cubes.flatten(0, 1)).tokens).unflatten(0, (len(cubes), -1))}

    def loss(self, represented: Represented, inputs: Inputs) -> Terms:
        """Prediction of the overlaps, and discrepancy of the bases."""
        projected = self._projected(represented)
        bases, crops = projected[:, :BASES], projected[:, BASES]
        parts = {
            "prediction": overlap_prediction(crops, bases, inputs["overlaps"]),
            "discrepancy": base_discrepancy(bases),
        }
        return Terms(parts["prediction"] + parts["discrepancy"], parts)

    @torch.no_grad()
    def read_out(self, represented: Represented, inputs: Inputs) -> dict[str, float]:
        """Returns the share of random cubes whose likest octant holds most of them, and the rank of the tokens."""
        projected = nn.functional.normalize(self._projected(represented), dim=-1)
        likeness = torch.einsum("be,bne->bn", projected[:, BASES], projected[:, :BASES])
        found = likeness.argmax(1) == inputs["overlaps"].argmax(1)
        spread = embedding_spread(represented["cubes"].flatten(0, 1).cpu())
        return {"accuracy": float(found.float().mean()), "spread": spread}

    def _projected(self, represented: Represented) -> torch.Tensor:
        cubes = represented["cubes"]
        projected: torch.Tensor = self.project(cubes.flatten(0, 1)).unflatten(0, (len(cubes), -1))
        return projected

    def after_step(self, step: int) -> None:
        """Nothing moves but by the optimiser."""


def octant_overlaps(origin: NDArray[np.int64], half: int) -> NDArray[np.float32]:
    """Returns the share of a cube of edge ``half`` that lies in each octant of one of twice the edge.

    Args:
        origin: First voxel of the small cube along x, y, z, 0 to ``half``.
        half: Edge of the small cube and of the octants.

    Returns:
        ``(8,)``, in C order of the octants; they sum to 1.

    Example:
        >>> octant_overlaps(np.array([0, 0, 4]), 8).tolist()
        [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    far = np.asarray(origin) / half
    sides = np.stack([1 - far, far], axis=1)
    return np.einsum("i,j,k->ijk", *sides).ravel().astype(np.float32)


def _cube(volume: NDArray[np.float32], start: NDArray[np.int64], edge: int) -> NDArray[np.float32]:
    x, y, z = (int(value) for value in start)
    return volume[x : x + edge, y : y + edge, z : z + edge]
