"""Forgetting activations and computing them again, without batch norm counting the batch twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def checkpoint_with_norms(module: nn.Module, features: Tensor) -> Tensor:
    """Runs a module and keeps its input alone for the backward pass, which runs it once more.

    Returns:
        What the module returns, with the gradient and the running statistics that it has without this.
    """
    output: Tensor = checkpoint(
        module, features, use_reentrant=False, context_fn=lambda: (nullcontext(), _still_statistics(module))
    )
    return output


@contextmanager
def _still_statistics(module: nn.Module) -> Iterator[None]:
    """Batch norm uses the batch's statistics as before, but does not add them to the running ones a second time.

    A momentum of zero does so and saves the same tensors for the backward pass, which checkpointing asks for.
    """
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        norm.num_batches_tracked = None
    try:
        yield
    finally:
        for norm, (momentum, seen) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, seen
