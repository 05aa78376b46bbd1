r"""The gradient of a batch that does not fit in memory, in chunks, and the same.

A contrastive loss needs all representations at once, but each needs only its own volume. So (Gao et al. 2021,
"Scaling deep contrastive learning batch size under memory limited setup")::

    1. represent all chunks without a graph
    2. loss of all representations -> gradients of the heads, and of every representation: the cache
    3. represent each chunk again, with a graph, and push its part of the cache through it

.. math:: \frac{dL}{d\theta} = \sum_i \frac{\partial L}{\partial z_i} \frac{\partial z_i}{\partial \theta}

Memory is that of one chunk, and the volumes are encoded twice. Where the loss is a mean over volumes the cache is
just a weight, and the same code serves as gradient accumulation.

Dropout and drop path draw from a generator that is seeded by (seed, step, chunk), so that both passes of a chunk, and a
resumed run, draw the same: the gradient is the exact one of the loss of these masks. But they are other masks than the
whole batch would draw at once, so that chunks of another size give the gradient of another draw; only without dropout
and drop path do all sizes give the same. (Masks seeded volume by volume would be the same for all sizes, and take
layers of our own and an encoder that draws for each volume alone.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

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
        chunk: Volumes encoded at a time; None for all at once. Where networks drop units or paths it also decides
            which.
        seed: Of what is drawn inside the networks.
        precision: Makes the mixed-precision context of the encoder.

    Returns:
        The representations, detached where they were cached, and the loss.

    Raises:
        ConfigError: See :func:`batch_statistics_refused`.
    """
    size = len(next(iter(inputs.values())))
    if chunk is None or chunk >= size:
        with batch_statistics_refused(objective, None):
            represented = _represent(objective, inputs, seed, 0, precision)
        terms = objective.loss(represented, inputs)
        terms.total.backward()
        return {name: value.detach() for name, value in represented.items()}, terms
    parts = [{name: value[start : start + chunk] for name, value in inputs.items()} for start in range(0, size, chunk)]
    with torch.no_grad(), batch_statistics_refused(objective, chunk):
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


@contextmanager
def batch_statistics_refused(objective: Objective, chunk: int | None) -> Iterator[None]:
    """Refuses layers that normalise over the batch where volumes are represented, be they the encoder's or a head's.

    In chunks their gradient would be another one. Layers that only the loss uses see the whole batch, and may do so.

    Args:
        objective: The method.
        chunk: Volumes encoded at a time; None for the whole batch, where only a batch norm of one value is refused.

    Raises:
        ConfigError: Such a layer is used.
    """
    assert isinstance(objective, nn.Module)
    handles = []
    for name, layer in objective.named_modules():
        if isinstance(layer, _BATCH_STATISTICS):
            handles.append(layer.register_forward_pre_hook(_refusal(name, chunk)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _refusal(name: str, chunk: int | None) -> Callable[[nn.Module, Any], None]:
    def refuse(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        if not layer.training and layer.running_mean is not None:
            return
        if chunk is not None:
            raise ConfigError(
                f"pretrain.micro_batch = {chunk}: {name} normalises over the batch, so that chunks change its gradient",
                "leave pretrain.micro_batch out and lower pretrain.batch_volumes, or take parts without batch norm",
            )
        if arguments[0].numel() == arguments[0].shape[1]:
            raise ConfigError(
                f"{name} normalises over the batch, and there is one value to normalise",
                "raise pretrain.batch_volumes, take larger crops, or an encoder without batch norm",
            )

    return refuse
