"""Has what is learned become one vector? The guard of every method, asked at the steps that are logged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..encoders.encoder import EncoderOutput
from ..readouts.online import embedding_spread, has_collapsed
from .objective import Represented
from .projection import pooled


@contextmanager
def listening(encoder: nn.Module) -> Iterator[list[Tensor]]:
    """Collects the mean tokens of all that an encoder encodes meanwhile, ``(b, c)`` each.

    Passes without a graph are left out: those are made again, see :mod:`.gradient_cache`.
    """
    heard: list[Tensor] = []

    def hear(_module: nn.Module, _arguments: Any, output: EncoderOutput) -> None:
        if torch.is_grad_enabled():
            heard.append(pooled(output.tokens.detach().float()))

    handle = encoder.register_forward_hook(hear)
    try:
        yield heard
    finally:
        handle.remove()


def tell_spread(
    heard: Sequence[Tensor], represented: Represented, read_out: dict[str, float], *, warm: bool
) -> dict[str, Any]:
    """Returns the rank of the encoder's mean tokens and, after the warm-up, whether anything has collapsed.

    Untrained networks answer much alike, and are not asked.

    Args:
        heard: Of :func:`listening`, of one step.
        represented: Of the same step.
        read_out: What the method tells; ``spread``, where it is there, is the rank of its own embedding.
        warm: Whether the warm-up is over.

    Returns:
        ``encoder_spread``, see :func:`embedding_spread`, and ``collapsed``, see :func:`has_collapsed`.
    """
    tokens = torch.cat(list(heard)).cpu()
    told: dict[str, Any] = {"encoder_spread": embedding_spread(tokens)}
    if not warm:
        return told
    collapsed = has_collapsed(told["encoder_spread"], *tokens.shape)
    if "spread" in read_out:
        vectors = [value.flatten(0, -2) for value in represented.values() if value.ndim > 1]
        rows, width = min(map(len, vectors)), min(value.shape[-1] for value in vectors)
        collapsed = collapsed or has_collapsed(read_out["spread"], rows, width)
    return {**told, "collapsed": collapsed}
