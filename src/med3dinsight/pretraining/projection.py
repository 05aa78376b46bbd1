"""Heads between an encoder and a loss, dropped after pre-training."""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn


def pooled(tokens: Float[Tensor, "b n c"]) -> Float[Tensor, "b c"]:
    """Mean of a volume's tokens: what the methods that compare volumes compare."""
    return tokens.mean(1)


def batch_norm(width: int, *, affine: bool = True) -> nn.BatchNorm1d:
    """Batch norm that always takes the batch's own statistics.

    Heads are dropped after pre-training, so that running averages would serve nobody; without them a read-out
    leaves a head as it was.
    """
    return nn.BatchNorm1d(width, affine=affine, track_running_stats=False)


def perceptron(widths: tuple[int, ...], *, norm: bool = False, last_norm: bool = False) -> nn.Sequential:
    """Linear layers with ReLU between them.

    Args:
        widths: From the input to the output, three at least.
        norm: Batch norm before every ReLU: the head then belongs where the whole batch is.
        last_norm: Batch norm without scale and shift behind the last layer.
    """
    layers: list[nn.Module] = []
    for number, (wide, out) in enumerate(pairwise(widths)):
        last = number == len(widths) - 2
        normed = last_norm if last else norm
        layers.append(nn.Linear(wide, out, bias=not normed))
        if normed:
            layers.append(batch_norm(out, affine=not last))
        if not last:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)
