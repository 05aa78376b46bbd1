"""What holds for every method: it learns, its gradient may be taken in chunks, it draws by the step, it resumes."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import torch
from learned_workspace import KilledError, copy_of, killed_after, pretrain_config, tensors_of

from med3dinsight.pretraining.gradient_cache import backward
from med3dinsight.pretraining.methods import METHODS
from med3dinsight.pretraining.run import run
from med3dinsight.training.run_log import read_log

#: Loss after some steps on one batch over that of the first step, at most; and what the log tells.
LEARNED: dict[str, tuple[float, set[str]]] = {
    "t3d": (
        0.8,
        {
            *("accuracy", "text_only_accuracy", "gate", "spread"),
            *("restoration_true_text", "restoration_shuffled_text"),
        },
    ),
    "multiview": (0.8, {"accuracy", "spread", "local_spread"}),
    "gtgm": (0.7, {"view_accuracy", "text_accuracy", "spread"}),
    "clip3d": (0.8, {"accuracy", "spread"}),
    "mae": (0.5, {"explained"}),
    "simmim": (0.5, {"explained"}),
    "genesis": (0.5, {"restored"}),
    "simclr": (0.5, {"accuracy", "spread"}),
    "moco": (0.5, {"accuracy", "spread"}),
    "dino": (0.9, {"accuracy", "teacher_entropy", "teacher_entropy_of_mean", "spread"}),
    "voco": (0.75, {"accuracy", "spread"}),
}


def test_every_method_of_one_step_is_looked_at() -> None:
    sliced = {"insight", "paper", "extended", "extended-code", "none"}
    assert LEARNED.keys() == METHODS.keys() - sliced


@pytest.mark.parametrize("method", LEARNED)
def test_the_loss_falls_and_the_log_tells_its_read_outs(make, train, method: str) -> None:
    share, told = LEARNED[method]
    objective, pool = make(method, steps=24)
    losses = train(objective, pool, 24, learning_rate=2e-3)
    assert losses[-1] < share * losses[0]
    inputs = objective.draw(pool, 0)
    represented = {name: value.detach() for name, value in objective.represent(inputs).items()}
    assert objective.read_out(represented, inputs).keys() == told


@pytest.mark.parametrize("method", LEARNED)
def test_the_gradient_of_chunks_is_that_of_the_batch(make, method: str) -> None:
    changes: dict[str, Any] = {"batch_volumes": 3, **({"encoder": "conv_tiny"} if method == "genesis" else {})}
    gradients = []
    for chunk in (None, 1):
        objective, pool = make(method, **changes)
        backward(objective, objective.draw(pool, 0), chunk, 5, contextlib.nullcontext)
        gradients.append({name: p.grad for name, p in objective.named_parameters() if p.grad is not None})
    whole, cut = gradients
    assert whole.keys() == cut.keys()
    assert any(name.startswith("encoder.") for name in whole)
    # Of the whole gradient: batch norm in a head makes some of its parts zero, and what is left of them rounding.
    # In double precision all agree to 1e-13.
    scale = max(float(value.abs().max()) for value in whole.values())
    for name, value in whole.items():
        assert float((cut[name] - value).abs().max()) / scale < 1e-4, name


@pytest.mark.parametrize("method", LEARNED)
def test_a_step_draws_the_same_again_and_another_step_something_else(make, method: str) -> None:
    objective, pool = make(method)
    one, again, other = (objective.draw(pool, step) for step in (3, 3, 4))
    assert all(torch.equal(value, again[name]) for name, value in one.items())
    assert not all(torch.equal(value, other[name]) for name, value in one.items() if value.shape == other[name].shape)
    assert {len(value) for value in one.values()} == {4}


@pytest.mark.parametrize("method", ["moco", "dino", "t3d"])
def test_a_killed_run_ends_as_one_in_one_piece_teacher_and_centre_included(
    ready_once: Path, tmp_path: Path, method: str
) -> None:
    work = copy_of(ready_once, tmp_path)
    small = {"method": method, "encoder": "vit_tiny", "batch_volumes": 2, "projection_width": 16, "steps": 5}
    settings = {**small, "checkpoint_every": 1, "held_out": ("cleo",)}
    run(pretrain_config(run="whole", **settings), work)
    with pytest.raises(KilledError):
        run(pretrain_config(run="cut", **settings), work, progress=killed_after(3))
    run(pretrain_config(run="cut", **settings), work)
    whole, cut = (work.pretraining / name for name in ("whole", "cut"))
    assert tensors_of(whole / "encoder.safetensors") == tensors_of(cut / "encoder.safetensors")
    assert read_log(whole / "log.jsonl")[-1]["loss"] == read_log(cut / "log.jsonl")[-1]["loss"]
