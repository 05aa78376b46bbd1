"""Low-rank adapters: a frozen linear map and a trained correction of small rank (LoRA, Hu et al. 2021)."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)
#: What the correction is multiplied by.
SCALE = 2.0


class LowRankLinear(nn.Module):
    r"""A linear map plus a correction: :math:`W x + b + s\,U D x`, with :math:`U = 0` at the start.

    Args:
        base: The map; it is frozen.
        rank: Rows of D and columns of U.
        generator: Draws D.
    """

    def __init__(self, base: nn.Linear, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        down = torch.randn(rank, base.in_features, generator=generator) / math.sqrt(base.in_features)
        self.down = nn.Parameter(down.to(base.weight.device))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank, device=base.weight.device))

    def forward(self, x: Float[Tensor, "*b d"]) -> Float[Tensor, "*b e"]:
        """Maps, and corrects."""
        result: Tensor = self.base(x) + SCALE * (x @ self.down.T) @ self.up.T
        return result

    def merged(self) -> nn.Linear:
        """Returns one linear map that does the same."""
        with torch.no_grad():
            self.base.weight += SCALE * self.up @ self.down
        return self.base


def add_adapters(network: nn.Module, names: tuple[str, ...], rank: int, seed: int) -> list[nn.Parameter]:
    """Puts adapters around the linear maps of some names, wherever they are; returns what is to be trained.

    Args:
        network: Changed in place.
        names: Last parts of the modules' names, such as ``q_proj``.
        rank: See :class:`LowRankLinear`.
        seed: Of the adapters' start.

    Example:
        >>> network = nn.ModuleDict({"q_proj": nn.Linear(8, 8), "other": nn.Linear(8, 8)})
        >>> [tuple(value.shape) for value in add_adapters(network, ("q_proj",), rank=2, seed=0)]
        [(2, 8), (8, 2)]
    """
    generator, trained = torch.Generator().manual_seed(seed), []
    for parent, child, module in _linear_maps(network, nn.Linear):
        if child in names:
            adapter = LowRankLinear(module, rank, generator)
            parent.add_module(child, adapter)
            trained += [adapter.down, adapter.up]
    return trained


def merge_adapters(network: nn.Module) -> None:
    """Puts every adapter's correction into its linear map, so that the network has the modules it had before."""
    for parent, child, module in _linear_maps(network, LowRankLinear):
        parent.add_module(child, module.merged())


def _linear_maps(network: nn.Module, kind: type[M]) -> list[tuple[nn.Module, str, M]]:
    return [
        (parent, child, module)
        for parent in network.modules()
        for child, module in parent.named_children()
        if isinstance(module, kind)
    ]
