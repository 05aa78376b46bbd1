"""How each method optimises by itself, pinned number by number, and that it is what the loop does."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import pytest
import torch
from learned_workspace import pretrain_config
from torch import nn

from med3dinsight.pretraining import loop
from med3dinsight.pretraining.config import PretrainConfig
from med3dinsight.pretraining.methods import METHODS
from med3dinsight.pretraining.recipes import EXTENDED, OURS, PAPER, Recipe
from med3dinsight.pretraining.resolving import resolve, shown
from med3dinsight.pretraining.run import run
from med3dinsight.training.run_log import read_log
from med3dinsight.workspace import Workspace

_EXTENDED = {
    "optimizer": "adam",
    "learning_rate": 1e-5,
    "weight_decay": 1e-5,
    "decayed": "all",
    "schedule": "constant",
    "warmup_steps": 0,
    "gradient_clip": 0.0,
    "batch_volumes": 10,
    "contrast_augmentation": 0.0,
    "slices_per_volume": 1,
    "match": "both",
    "alignment": "partial-ot",
    "temperature": None,
    "ot_regularization": 0.03,
    "ot_mass": 0.95,
    "reconstruction_weight": 1.0,
}
GOLDEN: dict[str, dict[str, Any]] = {
    "paper": {
        "optimizer": "adamw",
        "learning_rate": 1e-4,
        "weight_decay": 0.01,
        "decayed": "all",
        "schedule": "constant",
        "warmup_steps": 0,
        "gradient_clip": 0.0,
        "batch_volumes": 32,
        "contrast_augmentation": 0.0,
        "slices_per_volume": 1,
        "match": "both",
        "alignment": "infonce",
        "temperature": 0.07,
        "learn_temperature": False,
        "reconstruction": "none",
    },
    "extended": {**_EXTENDED, "metric": "psd", "reconstruction": "masked", "mask_ratio": 0.6},
    "extended-code": {**_EXTENDED, "metric": "diagonal", "reconstruction": "plain", "mask_ratio": None},
    "insight": {
        "optimizer": "adamw",
        "learning_rate": 1e-3,
        "weight_decay": 0.05,
        "decayed": "matrices",
        "schedule": "cosine",
        "warmup_steps": 20,
        "gradient_clip": 1.0,
        "batch_volumes": 8,
        "contrast_augmentation": 0.6,
        "slices_per_volume": 8,
        "match": "both",
        "alignment": "ot",
        "metric": "euclidean",
        "reconstruction": "none",
    },
}


@pytest.mark.parametrize("method", GOLDEN)
def test_a_methods_own_numbers_are_what_its_source_says(method: str) -> None:
    told = shown(PretrainConfig(method=method))
    assert {name: told.get(name) for name in GOLDEN[method]} == GOLDEN[method]
    assert {field.name for field in fields(Recipe)} <= set(GOLDEN[method])


def test_methods_without_a_recipe_of_their_own_share_ours() -> None:
    assert {name for name, method in METHODS.items() if method.recipe != OURS} == {"paper", "extended", "extended-code"}
    for name in METHODS:
        config = resolve(PretrainConfig(method=name))
        assert config.recipe == METHODS[name].recipe
        assert resolve(config) == config


@pytest.mark.parametrize("method", GOLDEN)
def test_what_the_user_sets_goes_before_the_recipe(method: str) -> None:
    # Also where it is what another method would have taken anyway.
    for recipe in (OURS, PAPER, EXTENDED):
        config = resolve(PretrainConfig(method=method, contrast_augmentation=0.3, **asdict(recipe)))
        assert (config.recipe, config.contrast_augmentation) == (recipe, 0.3)


@pytest.mark.parametrize(
    ("recipe", "reference"),
    [
        (PAPER, lambda values: torch.optim.AdamW(values, lr=1e-4)),
        (EXTENDED, lambda values: torch.optim.Adam(values, lr=1e-5, weight_decay=1e-5)),
        (Recipe("adam", 1e-2, 0.3, "all"), lambda values: torch.optim.Adam(values, lr=1e-2, weight_decay=0.3)),
    ],
)
def test_a_papers_optimiser_steps_as_pytorchs_does(recipe: Recipe, reference: Any) -> None:
    """Weight decay on all that learns, norms and biases too: PyTorch's way, and so that of whoever says no more."""
    ends = []
    for make in (lambda module: loop.make_optimizer(module, recipe), lambda module: reference(module.parameters())):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 1))
        optimizer = make(module)
        for _ in range(3):
            optimizer.zero_grad()
            module(torch.rand(8, 4)).square().sum().backward()
            optimizer.step()
        ends.append(torch.cat([value.detach().flatten() for value in module.parameters()]))
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-6, atol=1e-8)


def test_the_loop_keeps_the_rate_and_the_gradients_of_a_plain_recipe(
    work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    norms: list[float] = []
    clip = torch.nn.utils.clip_grad_norm_

    def spy(values: list[torch.Tensor], limit: float) -> torch.Tensor:
        before = clip(values, limit)
        norms.append(float(before))
        after = torch.stack([value.grad.square().sum() for value in values if value.grad is not None]).sum().sqrt()
        assert after == pytest.approx(norms[-1] if limit == float("inf") else min(norms[-1], limit), rel=1e-4)
        return before

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spy)
    small = {"held_out": ("cleo",), "steps": 3, "warmup_steps": None, "psat_width": 32}
    run(pretrain_config(method="paper", run="paper", slices_per_volume=1, **small), work)
    assert [row["learning_rate"] for row in read_log(work.pretraining / "paper" / "log.jsonl")] == [1e-4] * 3
    assert max(norms) > 0.1
    run(pretrain_config(run="clipped", gradient_clip=0.01, **small), work)
    rates = [row["learning_rate"] for row in read_log(work.pretraining / "clipped" / "log.jsonl")]
    assert rates == pytest.approx([1e-3 * (step + 1) / 20 for step in range(3)])
    run(pretrain_config(run="warm", schedule="constant", **{**small, "warmup_steps": 2}), work)
    rates = [row["learning_rate"] for row in read_log(work.pretraining / "warm" / "log.jsonl")]
    assert rates == pytest.approx([5e-4, 1e-3, 1e-3])
