"""Averaged weights: the exponential moving average of a module's parameters and buffers."""

from __future__ import annotations

import copy

import torch
from torch import nn


class WeightAverage(nn.Module):
    r"""Follows a module: :math:`\bar\theta \leftarrow d\,\bar\theta + (1 - d)\,\theta` after every step.

    (Polyak & Juditsky 1992; the form of mean teachers, Tarvainen & Valpola 2017.) Early steps would weigh the random
    start too much, so the decay of step t is :math:`\min(d, (1 + t) / (10 + t))`, as in common practice. Buffers and
    counts are copied.

    Args:
        module: What is followed; copied at once.
        decay: d, in [0, 1).
    """

    steps: torch.Tensor

    def __init__(self, module: nn.Module, decay: float) -> None:
        super().__init__()
        self.decay = decay
        self.module = _copy(module).requires_grad_(False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def update(self, module: nn.Module, decay: float | None = None) -> None:
        """Moves the average towards a module's present weights; with ``decay`` by just that."""
        taken = int(self.steps)
        decay = min(self.decay, (1 + taken) / (10 + taken)) if decay is None else decay
        for own, value in zip(self.module.parameters(), module.parameters(), strict=True):
            own.lerp_(value.to(own.dtype), 1 - decay)
        for kept, buffer in zip(self.module.buffers(), module.buffers(), strict=True):
            kept.copy_(buffer)
        self.steps += 1


def _copy(module: nn.Module) -> nn.Module:
    """Copies a module; its tensors by operations, which a forecast of memory can follow, unlike a deep copy's."""
    memo: dict[int, object] = {id(value): nn.Parameter(value.detach().clone()) for value in module.parameters()}
    memo |= {id(value): value.clone() for value in module.buffers()}
    plain = [value for part in module.modules() for value in vars(part).values() if isinstance(value, torch.Tensor)]
    memo |= {id(value): value.detach().clone() for value in plain}
    return copy.deepcopy(module, memo)
