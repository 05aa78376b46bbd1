"""Every arm of every experiment has settings that its method reads."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from experiments.measuring import Scale, pretraining

from med3dinsight.pretraining.recipes import OURS
from med3dinsight.pretraining.resolving import resolve

EXPERIMENTS = ("methods_compared", "psat_choices", "caption_noise")
ARMS = [
    (experiment, name)
    for experiment in EXPERIMENTS
    for name, arm in importlib.import_module(f"experiments.{experiment}.arms").ARMS.items()
    if arm.pretrain is not None
]


@pytest.mark.parametrize(("experiment", "arm"), ARMS)
def test_the_settings_of_an_arm_go_together(experiment: str, arm: str) -> None:
    cell: dict[str, Any] = {"experiment": experiment, "arm": arm, "encoder": "conv_tiny", "fold": "chest", "seed": 0}
    settings = resolve(pretraining(cell, Scale()))
    assert settings.steps == Scale().pretraining_steps
    # One budget for all, whatever a method's own recipe is.
    assert settings.recipe == OURS
    assert settings.contrast_augmentation in (0.6, None)
