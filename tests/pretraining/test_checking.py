"""A dry run refuses what the run refuses, and leaves everything as it was."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from learned_workspace import Toy, copy_of, pretrain_config

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.seen import UnknownPeopleWarning
from med3dinsight.encoders.weights import weights_bytes
from med3dinsight.errors import UserError
from med3dinsight.pretraining.forecast import forecast
from med3dinsight.pretraining.run import run
from med3dinsight.workspace import Workspace


@pytest.fixture
def work(ready_once: Path, tmp_path: Path) -> Workspace:
    """Anna and bert to learn from, cleo held out."""
    return copy_of(ready_once, tmp_path)


def both_refuse(work: Workspace, config: Any, message: str) -> None:
    said = []
    for action in (forecast, run):
        with pytest.raises(UserError, match=message) as caught:
            action(config, work)
        said.append((type(caught.value), caught.value.message, caught.value.hint))
    assert said[0] == said[1]
    assert not (work.pretraining / config.run / "encoder.safetensors").exists()


UNKNOWN = pytest.mark.filterwarnings("ignore::med3dinsight.encoders.seen.UnknownPeopleWarning")
WATCHED = {"readout_every": 2, "watch": ("cleo",)}


@UNKNOWN
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"encoder": "conv_tinny"}, "no encoder called conv_tinny"),
        ({"method": "papers"}, "no pre-training method called papers"),
        ({"towers": "clipp"}, "no towers called clipp"),
        ({"captioner": "template"}, "features/toy/template is not complete"),
        ({"held_out": ("dora",)}, "held-out subject dora is not in the workspace"),
        ({"held_out": ("cleo", "anna")}, "projections of the 2D features were fitted on held-out subject anna"),
        ({"device": "gpu"}, "no device called gpu"),
        ({"crop_size": 32}, "crop_size = 32 has no effect"),
        ({"watch_classes": {"a": ("heart",), "b": ("liver",)}, **WATCHED}, "nobody who is trained on is labelled"),
        ({"method": "mae", **WATCHED}, "mae has no PSAT to ask"),
        ({"method": "mae", "num_queries": 3}, "num_queries = 3 has no effect"),
        ({"method": "simmim", "mask_block": 16}, "1 block of pretrain.mask_block = 16"),
        ({"method": "dino", "encoder": "unetr_tiny", "local_views": 1}, "dino"),
        ({"method": "multiview", "held_out": ("cleo", "bert"), "towers": "toy"}, "fitted on held-out subject bert"),
        ({"init": "nowhere.safetensors"}, "nowhere.safetensors"),
        ({"init": "published"}, "no published weights called conv_tiny"),
    ],
    ids=str,
)
def test_what_a_run_refuses_its_dry_run_refuses_with_the_same_words(
    work: Workspace, changes: dict[str, Any], message: str
) -> None:
    both_refuse(work, pretrain_config(**{"held_out": ("cleo",), **changes}), message)


def test_tensorboard_that_is_missing_is_told_before_the_run(work: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    both_refuse(work, pretrain_config(held_out=("cleo",), tensorboard=True), "needs TensorBoard")


def test_projections_and_weights_that_have_seen_somebody_are_refused_by_both(toy: Toy) -> None:
    work = toy.ready("anna", "bert", "cleo")
    both_refuse(work, pretrain_config(held_out=("cleo",)), "fitted on held-out subject cleo")
    run(pretrain_config(method="simmim", run="first", steps=1, mask_block=4), work)
    start = str(work.pretraining / "first" / "encoder.safetensors")
    changes = {"method": "simmim", "mask_block": 4, "init": start, "held_out": ("cleo",)}
    both_refuse(work, pretrain_config(run="second", **changes), "have seen cleo-image of held-out subject cleo")


@UNKNOWN
def test_weights_of_another_encoder_are_refused_by_both_and_the_earlier_run_still_counts(
    work: Workspace, tmp_path: Path
) -> None:
    settings = {"held_out": ("cleo",), "steps": 1}
    run(pretrain_config(run="earlier", **settings), work)
    other = tmp_path / "other.safetensors"
    other.write_bytes(weights_bytes(create_encoder("vit_tiny", image_size=16)))
    for action in (forecast, run):
        with pytest.raises(UserError, match=r"fills 0.0 % of this encoder"):
            action(pretrain_config(run="earlier", init=str(other), **settings), work)
    assert run(pretrain_config(run="earlier", **settings), work).done_before


def test_a_dry_run_that_starts_from_weights_has_a_forecast(work: Workspace, tmp_path: Path) -> None:
    start = tmp_path / "start.safetensors"
    torch.manual_seed(0)
    start.write_bytes(weights_bytes(create_encoder("conv_tiny")))
    with pytest.warns(UnknownPeopleWarning):
        told = forecast(pretrain_config(held_out=("cleo",), init=str(start)), work)
    assert told["peak_memory_bytes"] > 0
    assert not work.pretraining.exists()
