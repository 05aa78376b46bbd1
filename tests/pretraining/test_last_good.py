"""A run that diverges leaves weights that another run can start from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from learned_workspace import KilledError, copy_of, killed_after, pretrain_config
from safetensors.torch import load_file

from med3dinsight.alignment.aligned_encoder import load_aligned
from med3dinsight.errors import DivergenceError, LeakageError
from med3dinsight.pretraining.run import run
from med3dinsight.pretraining.slice_alignment import SliceAlignment
from med3dinsight.workspace import Workspace

SETTINGS = {"steps": 6, "checkpoint_every": 2, "held_out": ("cleo",)}


@pytest.fixture
def work(ready_once: Path, tmp_path: Path) -> Workspace:
    """Anna and bert to learn from, cleo held out."""
    return copy_of(ready_once, tmp_path)


def stopped(work: Workspace, step: int, **changes: Any) -> DivergenceError:
    """Runs until the loss of a step becomes infinite; returns the error."""
    true_loss, calls = SliceAlignment.loss, 0

    def loss(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        terms = true_loss(*args)
        return replace(terms, total=terms.total * (float("inf") if calls == step else 1))

    with pytest.MonkeyPatch.context() as patch, pytest.raises(DivergenceError) as caught:
        patch.setattr(SliceAlignment, "loss", loss)
        run(pretrain_config(**{**SETTINGS, **changes}), work)
    return caught.value


def weights_named_in(error: DivergenceError) -> Path:
    return Path(error.hint.split("pretrain.init = ")[1])


@pytest.mark.parametrize("ema_decay", [0.0, 0.5])
def test_another_run_goes_on_from_the_last_good_checkpoint_at_a_lower_rate(work: Workspace, ema_decay: float) -> None:
    error = stopped(work, 4, ema_decay=ema_decay)
    assert error.message == "the loss became inf after 3 steps"
    assert "lower pretrain.learning_rate = 0.001, and go on from step 2 with pretrain.init = " in error.hint
    kept = weights_named_in(error)
    killed = pretrain_config(**{**SETTINGS, "run": "reference", "ema_decay": ema_decay})
    with pytest.raises(KilledError):
        run(killed, work, progress=killed_after(3))
    checkpoint = torch.load(work.pretraining / "reference" / "checkpoint.pt", weights_only=True)["model"]
    prefix = "average.module.encoder." if ema_decay else "objective.model.encoder."
    for name, value in load_file(kept).items():
        assert torch.equal(value, checkpoint[prefix + name])
    load_aligned(kept.parent)
    facts = json.loads((kept.parent / "encoder.json").read_text())
    assert facts["subjects"] == ["anna", "bert"]

    before = kept.read_bytes()
    gentle = {**SETTINGS, "learning_rate": 1e-5, "init": str(kept), "warmup_steps": 0, "steps": 1}
    result = run(pretrain_config(**gentle), work)
    assert result.steps == 1
    assert kept.read_bytes() == before
    start, ended = load_file(kept), load_file(result.checkpoint)
    assert all(torch.allclose(value, start[name], atol=1e-4) for name, value in ended.items())
    with pytest.raises(LeakageError, match="have seen bert-image"):
        run(pretrain_config(**{**gentle, "run": "leaky", "method": "simmim", "held_out": ("cleo", "bert")}), work)


def test_what_was_kept_is_never_overwritten(work: Workspace) -> None:
    first = weights_named_in(stopped(work, 4))
    before = first.read_bytes()
    second = weights_named_in(stopped(work, 4, learning_rate=1e-4))
    later = weights_named_in(stopped(work, 6, learning_rate=2e-4))
    assert len({first, second, later}) == 3
    assert "step4" in later.parent.name
    assert first.read_bytes() == before != second.read_bytes()
    when = first.stat().st_mtime_ns
    assert weights_named_in(stopped(work, 4)) == first
    assert (first.read_bytes(), first.stat().st_mtime_ns) == (before, when)


def test_before_the_first_checkpoint_nothing_is_kept_and_that_is_said(work: Workspace) -> None:
    error = stopped(work, 1)
    assert "there was no checkpoint yet" in error.hint
    assert not list((work.pretraining / "insight").glob("last-good*"))
