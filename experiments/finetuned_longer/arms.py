"""The arms of ``finetuned_longer``: those of ``methods_compared``, fine-tuned until the training people are fitted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from experiments.measuring import Arm
from experiments.methods_compared import arms as methods_compared

NAME = "finetuned_longer"
#: Chosen by the fit of the training people; see the README.
SCHEDULE = {
    "conv_tiny": {"steps": 600},
    "vit_tiny": {"steps": 600, "learning_rate": 1e-3},
}
ARMS: dict[str, Arm] = {
    name: replace(arm, probe=False, localize=False, finetune=True, source=methods_compared.NAME, schedule=SCHEDULE)
    for name, arm in methods_compared.ARMS.items()
    if name != "random"
}


def cells(encoder: str, arms: tuple[str, ...], seeds: range) -> list[dict[str, Any]]:
    """Cells of some arms and seeds, seed by seed, both folds."""
    return [{**cell, "experiment": NAME} for cell in methods_compared.cells(encoder, arms, seeds)]
