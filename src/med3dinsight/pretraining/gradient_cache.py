r"""The gradient of a batch that does not fit in memory, in chunks, and the same.

A contrastive loss needs all representations at once, but each needs only its own volume. So (Gao et al. 2021,
"Scaling deep contrastive learning batch size under memory limited setup")::

    1. represent all chunks without a graph
    2. loss of all representations -> gradients of the heads, and of every representation: the cache
    3. represent each chunk again, with a graph, and push its part of the cache through it

.. math:: \frac{dL}{d\theta} = \sum_i \frac{\partial L}{\partial z_i} \frac{\partial z_i}{\partial \theta}

Memory is that of one chunk, and the volumes are encoded twice. Where the loss is a mean over volumes the cache is
just a weight, and the same code serves as gradient accumulation. Dropout and drop path draw from a generator that is
seeded by (seed, step, chunk), so that both passes of a chunk, and a resumed run, draw the same.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import nn

from ..errors import ConfigError
from .objective import Inputs, Objective, Represented, Terms

#: Layers whose output for one volume depends on the others of its chunk.
_BATCH_STATISTICS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def backward(
    objective: Objective,
    inputs: Inputs,
    chunk: int | None,
    seed: int,
    precision: Callable[[], AbstractContextManager[object]],
) -> tuple[Represented, Terms]:
    """Computes loss and gradients of a batch.

    Args:
        objective: The method.
        inputs: The whole batch, ``(b, ...)`` each, on the device.
        chunk: Volumes encoded at a time; None for all at once.
        seed: Of what is drawn inside the networks.
        precision: Makes the mixed-precision context of the encoder.

    Returns:
        The representations, detached where they were cached, and the loss.
    """
    size = len(next(iter(inputs.values())))
    if chunk is None or chunk >= size:
        represented = _represent(objective, inputs, seed, 0, precision)
        terms = objective.loss(represented, inputs)
        terms.total.backward()
        return {name: value.detach() for name, value in represented.items()}, terms
    parts = [{name: value[start : start + chunk] for name, value in inputs.items()} for start in range(0, size, chunk)]
    with torch.no_grad():
        pieces = [_represent(objective, part, seed, number, precision) for number, part in enumerate(parts)]
    cache = {name: torch.cat([piece[name] for piece in pieces]).requires_grad_() for name in pieces[0]}
    terms = objective.loss(cache, inputs)
    terms.total.backward()
    for number, part in enumerate(parts):
        again = _represent(objective, part, seed, number, precision)
        rows = slice(number * chunk, number * chunk + len(next(iter(part.values()))))
        pulled = [
            (value * gradient[rows]).sum()
            for name, value in again.items()
            if (gradient := cache[name].grad) is not None and value.requires_grad
        ]
        if pulled:
            torch.stack(pulled).sum().backward()
    return {name: value.detach() for name, value in cache.items()}, terms


def _represent(
    objective: Objective,
    part: Inputs,
    seed: int,
    number: int,
    precision: Callable[[], AbstractContextManager[object]],
) -> Represented:
    torch.manual_seed(seed + number)
    with precision():
        represented = objective.represent(part)
    return {name: value.float() for name, value in represented.items()}


def refuse_batch_statistics(encoder: nn.Module, chunk: int | None, size: int, name: str) -> None:
    """Refuses chunks for an encoder whose layers normalise over the batch: its gradient would be another one.

    Raises:
        ConfigError: The encoder has batch norm and the batch would be cut.
    """
    if chunk is None or chunk >= size:
        return
    if any(isinstance(layer, _BATCH_STATISTICS) for layer in encoder.modules()):
        raise ConfigError(
            f"pretrain.micro_batch = {chunk}: {name} normalises over the batch, so that chunks change its gradient",
            "leave pretrain.micro_batch out and lower pretrain.batch_volumes, or take an encoder without batch norm",
        )
