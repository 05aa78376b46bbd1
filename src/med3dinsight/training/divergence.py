"""Stopping before a step that would ruin the weights, so that the last checkpoint stays a good one."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ..errors import DivergenceError


def refuse_divergence(loss: Tensor, gradient_norm: Tensor, step: int, folder: Path) -> None:
    """Checks loss and gradients before the optimiser uses them.

    Args:
        loss: The step's loss.
        gradient_norm: Global norm of the gradients, before clipping.
        step: Number of finished steps.
        folder: Where the run's checkpoint is.

    Raises:
        DivergenceError: One of them is not finite.
    """
    for name, value in (("loss", loss), ("gradient", gradient_norm)):
        if not torch.isfinite(value):
            raise DivergenceError(
                f"the {name} became {value.item()} after {step} steps",
                f"lower the learning rate; {_left(folder)}",
            )


def _left(folder: Path) -> str:
    kept = (folder / "checkpoint.pt").exists()
    return f"the last good checkpoint is in {folder}" if kept else f"no checkpoint is in {folder} yet"
