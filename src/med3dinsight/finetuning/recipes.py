"""How weights are stepped: the optimiser and the learning rate over the steps, by recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn

from ..training.schedule import warmup_cosine
from .config import FinetuneConfig


@dataclass(frozen=True)
class Recipe:
    """An optimiser and its schedule; the numbers stand in the settings.

    Attributes:
        optimizer: From parameters and settings.
        rate: Factor on the peak learning rate, from the step and the settings.
    """

    optimizer: Callable[[Iterable[nn.Parameter], FinetuneConfig], torch.optim.Optimizer]
    rate: Callable[[int, FinetuneConfig], float]


def _adamw(parameters: Iterable[nn.Parameter], config: FinetuneConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)


def _warm_cosine(step: int, config: FinetuneConfig) -> float:
    return warmup_cosine(step, config.steps, config.warmup_steps)


RECIPES: dict[str, Recipe] = {"default": Recipe(_adamw, _warm_cosine)}
