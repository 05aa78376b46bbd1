"""How a method is optimised: numbers only. docs/explanation/methods.md says for each who says so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

#: "adam" adds the weight decay to the gradient (L2), "adamw" takes it off the weights.
Optimizer = Literal["adamw", "adam"]
Schedule = Literal["cosine", "constant"]
#: "matrices" spares norms, biases, queries, slopes, tokens and position tables.
Decayed = Literal["matrices", "all"]


@dataclass(frozen=True)
class Recipe:
    """The settings of optimisation, named as in ``[pretrain]``; the defaults are ours.

    Attributes:
        optimizer: "adamw" or "adam".
        learning_rate: At its peak.
        weight_decay: Of the optimiser.
        decayed: What is decayed: "matrices", or "all" that learns.
        schedule: After warm-up: half a "cosine" to 0, or "constant".
        warmup_steps: Steps of linear warm-up; 0 = none.
        gradient_clip: Largest global gradient norm; 0 = gradients are left as they are.
        batch_volumes: Volumes a step.
    """

    optimizer: Optimizer = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    decayed: Decayed = "matrices"
    schedule: Schedule = "cosine"
    warmup_steps: int = 20
    gradient_clip: float = 1.0
    batch_volumes: int = 8


#: Ours, for every method that has no recipe of its own here, so that they compare on one budget.
OURS = Recipe()

#: Plain training: what a source does not name, it is taken not to have.
_PLAIN = Recipe(decayed="all", schedule="constant", warmup_steps=0, gradient_clip=0.0)

#: Med3DInsight, arXiv 2403.05141: AdamW, 1e-4, batch 32. It names no weight decay: PyTorch's default for AdamW, 0.01.
PAPER = replace(_PLAIN, optimizer="adamw", learning_rate=1e-4, weight_decay=0.01, batch_volumes=32)

#: The authors' published code of the extended version, arXiv 2509.09064: Adam, 1e-5, weight decay 1e-5, batch 10.
EXTENDED = replace(_PLAIN, optimizer="adam", learning_rate=1e-5, weight_decay=1e-5, batch_volumes=10)
