"""Vectors of all processes, with gradients that find their way home."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor

from ..errors import InputError


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        parts = [torch.empty_like(values) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total.chunk(dist.get_world_size())[dist.get_rank()]


def gather(values: Float[Tensor, "m e"]) -> Float[Tensor, "all e"]:
    """Rows of every process, in the order of ranks; the rows as they are where there is one process only.

    The backward pass sums the gradients of all processes. Every process computes the same loss of all rows, so the
    gradient of a row comes back once per process: the mean over processes that data-parallel training takes of
    parameter gradients makes it the gradient of the whole batch, for the network and for the loss's own parameters.

    Args:
        values: Rows of this process; all processes hold equally many.

    Raises:
        InputError: Processes hold different numbers of rows.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return values
    rows = torch.tensor([len(values)], device=values.device)
    everywhere = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(everywhere, rows)
    counts = [int(count) for count in everywhere]
    if len(set(counts)) > 1:
        raise InputError(f"processes hold {counts} pairs", "give every process batches of the same size")
    gathered: Tensor = _Gather.apply(values)  # type: ignore[no-untyped-call]
    return gathered
