"""Runs with averaged weights: what is written and what read-outs see are the averages of encoder and PSAT."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from learned_workspace import CLASSES, KilledError, killed_after, pretrain_config
from safetensors.torch import load_file

from med3dinsight.alignment.aligned_encoder import load_aligned
from med3dinsight.pretraining.peers.simclr import SimCLR
from med3dinsight.pretraining.resolving import resolve
from med3dinsight.pretraining.run import run
from med3dinsight.pretraining.slice_alignment import SliceAlignment
from med3dinsight.pretraining.watching import watcher
from med3dinsight.training.run_log import read_log
from med3dinsight.workspace import Workspace


def config(**changes: Any) -> Any:
    return pretrain_config(**{"held_out": ("cleo",), "steps": 4, "ema_decay": 0.2, "warmup_steps": 0, **changes})


def weights(work: Workspace, name: str) -> dict[str, torch.Tensor]:
    files = ("encoder", "psat")
    folder = work.pretraining / name
    return {
        f"{part}.{key}": value for part in files for key, value in load_file(folder / f"{part}.safetensors").items()
    }


def test_averages_of_encoder_and_psat_are_written(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    raw: list[dict[str, torch.Tensor]] = []

    def remember(self: SliceAlignment, step: int) -> None:
        raw.append({name: value.detach().clone() for name, value in self.model.named_parameters()})

    monkeypatch.setattr(SliceAlignment, "after_step", remember)
    run(config(run="start", steps=1, learning_rate=1e-12, ema_decay=0.0), work)
    expected = {name: value.clone() for name, value in weights(work, "start").items()}
    raw.clear()
    run(config(run="averaged"), work)
    written = weights(work, "averaged")
    for step, values in enumerate(raw):
        decay = min(0.2, (1 + step) / (10 + step))
        for name, value in values.items():
            expected[name] = decay * expected[name] + (1 - decay) * value
    assert len(raw) == 4
    assert {name.split(".")[0] for name in raw[-1]} == {"encoder", "psat"}
    for name in raw[-1]:
        assert torch.allclose(written[name], expected[name], atol=1e-6), name
    moved = [name for name, value in raw[-1].items() if not torch.allclose(value, written[name], atol=1e-6)]
    assert {name.split(".")[0] for name in moved} == {"encoder", "psat"}


def test_read_outs_look_at_the_averages(work: Workspace) -> None:
    looking = {"readout_every": 4, "watch": ("cleo",), "watch_classes": CLASSES, "learning_rate": 1e-2}
    told = {}
    for name, decay in (("averaged", 0.2), ("plain", 0.0)):
        settings = config(run=name, ema_decay=decay, **looking)
        run(settings, work)
        told[name] = read_log(work.pretraining / name / "log.jsonl")[-1]["watched"]
        watch = watcher(resolve(settings), work, 16, torch.device("cpu"))
        assert watch is not None
        again = watch(load_aligned(work.pretraining / name)[0])["watched"]
        assert again == told[name]
    assert told["averaged"] != told["plain"]


def test_a_method_without_psat_writes_the_average_of_its_encoder(
    work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    last: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(
        SimCLR, "after_step", lambda self, step: last.update(weight=self.encoder.neck.weight.detach().clone())
    )
    run(config(method="simclr", run="averaged", batch_volumes=3, ema_decay=0.9), work)
    folder = work.pretraining / "averaged"
    assert not torch.allclose(load_file(folder / "encoder.safetensors")["neck.weight"], last["weight"], atol=1e-6)
    assert not (folder / "psat.safetensors").exists()


def test_a_killed_run_goes_on_with_its_averages(work: Workspace) -> None:
    settings = {"steps": 6, "ema_decay": 0.9, "checkpoint_every": 2}
    run(config(run="averaged", **settings), work)
    with pytest.raises(KilledError):
        run(config(run="killed", **settings), work, progress=killed_after(3))
    run(config(run="killed", **settings), work)
    whole, cut = weights(work, "averaged"), weights(work, "killed")
    assert all(torch.equal(value, cut[name]) for name, value in whole.items())
