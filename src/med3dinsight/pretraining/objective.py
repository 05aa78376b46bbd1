"""What every pre-training method is to the loop: a module that draws, represents and loses.

The loop is the same for all of them::

    inputs = objective.draw(pool, step)              what the step sees, a row a volume
    represented = objective.represent(inputs)        the costly pass through the 3D encoder, volume by volume
    terms = objective.loss(represented, inputs)      what needs the whole batch: contrasts, transport, means

A representation belongs to one volume, so that the pass may be made in chunks; the loss sees all of them. That is
what lets a batch of any size fit a small machine with the same gradient (:mod:`.gradient_cache`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from .pool import Pool

#: Named tensors with a row a volume: ``(b, ...)``.
Inputs = dict[str, Tensor]
Represented = dict[str, Tensor]


@dataclass(frozen=True)
class Terms:
    """A step's loss.

    Attributes:
        total: What is minimised, a scalar.
        parts: Its parts by name, for the log.
        floor: The lowest value that the loss can take; the log shows how far above it a run is.
    """

    total: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)
    floor: float = 0.0


@runtime_checkable
class Objective(Protocol):
    """A pre-training method: an ``nn.Module`` that holds the encoder and all heads.

    Attributes:
        encoder: The 3D encoder that is pre-trained.
        pairs_per_volume: Things a step compares a volume with, for the rate that is reported.

    A method that also encodes cubes smaller than the crops says their edge in voxels as ``inner_edge``.
    """

    pairs_per_volume: int

    @property
    def encoder(self) -> nn.Module:
        """The 3D encoder."""
        ...

    def draw(self, pool: Pool, step: int) -> Inputs:
        """Draws what a step sees; the same (seed, step) gives the same."""
        ...

    def represent(self, inputs: Inputs) -> Represented:
        """Passes some of the volumes through the encoder; every row depends on its own volume only."""
        ...

    def loss(self, represented: Represented, inputs: Inputs) -> Terms:
        """Returns the loss of the whole batch."""
        ...

    def read_out(self, represented: Represented, inputs: Inputs) -> dict[str, float]:
        """Returns what is cheap to tell of a step, for the log.

        ``spread`` is the rank of the embedding that the method compares, if it compares any; the loop itself looks at
        that of the encoder's mean tokens.
        """
        ...

    def after_step(self, step: int) -> None:
        """Is called when the optimiser has stepped: moves teachers."""
        ...
