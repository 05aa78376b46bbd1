"""A library's network behind a check of what it is given: the sizes that it would fail at are refused by name."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from .input_sizes import InputSizes


class CheckedNetwork(nn.Module):
    """Asks for the input's size, then the network.

    Args:
        network: The library's network.
        sizes: What it asks of its input.
        image_size: Edge of the cubes or crops that it is built for, checked at once.

    Raises:
        ConfigError: ``image_size`` does not fit.
    """

    def __init__(self, network: nn.Module, sizes: InputSizes, image_size: int) -> None:
        super().__init__()
        sizes.check_cube(image_size)
        self.network, self.sizes = network, sizes

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b k *where"]:
        """Returns the network's scores: of voxels ``(b, k, x, y, z)`` or of volumes ``(b, k)``.

        Raises:
            ConfigError: The volumes do not fit.
        """
        self.sizes.check(volume, self.training)
        scores: Tensor = self.network(volume)
        return scores
