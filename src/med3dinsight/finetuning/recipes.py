"""How weights are stepped: the optimiser and the learning rate over the steps, by recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from ..training.schedule import polynomial, warmup_cosine
from .config import FinetuneConfig


@dataclass(frozen=True)
class Recipe:
    """An optimiser and its schedule; the numbers stand in the settings.

    Attributes:
        optimizer: From parameters and settings.
        rate: Factor on the peak learning rate, from the step and the settings.
        deep_supervision: Whether a network that can (it has ``deep_supervision``) learns at all its resolutions.
    """

    optimizer: Callable[[Iterable[nn.Parameter], FinetuneConfig], torch.optim.Optimizer]
    rate: Callable[[int, FinetuneConfig], float]
    deep_supervision: bool = False


def _adamw(parameters: Iterable[nn.Parameter], config: FinetuneConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


def _warm_cosine(step: int, config: FinetuneConfig) -> float:
    return warmup_cosine(step, config.steps, config.warmup_steps)


def _nesterov(parameters: Iterable[nn.Parameter], config: FinetuneConfig) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters, lr=config.learning_rate, weight_decay=config.weight_decay, momentum=0.99, nesterov=True
    )


def _poly(step: int, config: FinetuneConfig) -> float:
    return polynomial(step, config.steps)


#: ``nnunet``: Isensee et al., Nature Methods 2021. nnU-Net trains for 250 000 steps; at a few hundred a momentum of .99
#: has hardly forgotten the first ones.
RECIPES: dict[str, Recipe] = {
    "default": Recipe(_adamw, _warm_cosine),
    "nnunet": Recipe(_nesterov, _poly, deep_supervision=True),
}
