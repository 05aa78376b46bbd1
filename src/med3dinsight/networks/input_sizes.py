"""Which volumes a convolutional network takes, and the refusal of the others with sizes that it does take."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from jaxtyping import Float
from torch import Tensor

from ..errors import ConfigError


@dataclass(frozen=True)
class InputSizes:
    """What a network asks of the edges of its input.

    A norm over one single value gives zero whatever that value is, so a coarsest map of one voxel carries nothing:
    instance norm then refuses every volume, batch norm a batch of one in training.

    Attributes:
        coarsest: Edge in voxels -> edge of the coarsest normalised map, 0 where no voxel is left.
        multiple: Edges are multiples of this.
        instance_norm: Whether each volume is normalised by itself; otherwise over the batch.

    Example:
        >>> InputSizes(lambda edge: edge // 32, multiple=32, instance_norm=True).check_cube(64)
    """

    coarsest: Callable[[int], int]
    multiple: int = 1
    instance_norm: bool = False

    def check_cube(self, edge: int) -> None:
        """Checks a cube before anything is computed; a batch of one is seen only when it comes.

        Raises:
            ConfigError: The network does not take it.
        """
        self._check_fit((edge,) * 3)
        if self.instance_norm:
            self._check_values((edge,) * 3, 1)

    def check(self, volume: Float[Tensor, "b i x y z"], training: bool) -> None:
        """Checks a batch of volumes.

        Args:
            volume: The batch.
            training: Whether batch norm takes its statistics from this batch.

        Raises:
            ConfigError: The network does not take it.
        """
        size = tuple(volume.shape[2:])
        self._check_fit(size)
        if self.instance_norm or training:
            self._check_values(size, 1 if self.instance_norm else volume.shape[0])

    def smallest(self, coarsest: int = 1) -> int:
        """Returns the smallest edge whose coarsest map has an edge of at least ``coarsest``."""
        return next(edge for edge in count(self.multiple, self.multiple) if self.coarsest(edge) >= coarsest)

    def _check_fit(self, size: tuple[int, ...]) -> None:
        # A cube that instance norm takes has more than one voxel on the coarsest map.
        smallest = self.smallest(2 if self.instance_norm and len(set(size)) == 1 else 1)
        if any(edge % self.multiple for edge in size):
            nearest = [_nearest(edge, self.multiple, smallest) for edge in size]
            raise ConfigError(
                f"{_named(size)} does not fit a network that takes multiples of {self.multiple}",
                f"use a multiple of {self.multiple}, such as {_by(nearest)}",
            )
        if any(self.coarsest(edge) < 1 for edge in size):
            raise ConfigError(
                f"{_named(size)} is too small for this network", f"use edges of at least {smallest} voxels"
            )

    def _check_values(self, size: tuple[int, ...], batch: int) -> None:
        if batch * math.prod(self.coarsest(edge) for edge in size) > 1:
            return
        larger = f"edges of at least {self.smallest(2)} voxels"
        raise ConfigError(
            f"{_named(size)} leaves one voxel to normalise on the coarsest map, which is zero whatever it shows",
            f"use {larger}" if self.instance_norm else f"use {larger}, or a batch of 2 or more",
        )


def _nearest(edge: int, multiple: int, smallest: int) -> int:
    return max(-(-edge // multiple) * multiple, smallest)


def _named(size: tuple[int, ...]) -> str:
    return f"a cube of {size[0]} voxels" if len(set(size)) == 1 else f"a volume of {_by(size)} voxels"


def _by(size: tuple[int, ...] | list[int]) -> str:
    return str(size[0]) if len(set(size)) == 1 else " x ".join(str(edge) for edge in size)
