from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from learned_workspace import pretrain_config
from torch import nn

from med3dinsight.alignment.aligned_encoder import load_aligned
from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.conv_tiny import ConvTiny
from med3dinsight.encoders.seen import UnknownPeopleWarning, facts_of
from med3dinsight.encoders.weights import load_weights, save_weights
from med3dinsight.errors import ConfigError, InputError, LeakageError
from med3dinsight.pretraining.run import run
from med3dinsight.training.seeding import seed_weights
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.provenance import read_record


def config(**changes: Any) -> Any:
    return pretrain_config(**{"held_out": ("cleo",), **changes})


def saved(work: Workspace, name: str) -> dict[str, torch.Tensor]:
    encoder = create_encoder("conv_tiny")
    load_weights(encoder, work.pretraining / name / "encoder.safetensors")
    return encoder.state_dict()


def test_none_leaves_the_seeded_weights_that_all_methods_start_from(work: Workspace) -> None:
    result = run(config(method="none", run="start", seed=3), work)
    assert (result.steps, result.final_loss) == (0, None)
    seed_weights(3)
    expected = create_encoder("conv_tiny", image_size=16).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in saved(work, "start").items())
    facts = json.loads((work.pretraining / "start" / "encoder.json").read_text())
    assert (facts["psat"], facts["captioner"], facts["match"], facts["image_size"]) == (None, None, None, 16)
    run(config(method="insight", run="moved", seed=3, steps=1, learning_rate=1e-12, warmup_steps=0), work)
    moved = saved(work, "moved")
    assert all(torch.allclose(value, expected[name], atol=1e-9) for name, value in moved.items())


def test_weights_of_an_earlier_run_can_be_the_start(work: Workspace) -> None:
    run(config(run="first", steps=3), work)
    path = str(work.pretraining / "first" / "encoder.safetensors")
    run(config(method="none", run="second", init=path), work)
    assert all(torch.equal(value, saved(work, "first")[name]) for name, value in saved(work, "second").items())


def test_weights_that_have_seen_a_person_held_out_are_refused_and_whom_they_saw_is_remembered(work: Workspace) -> None:
    run(config(method="simmim", run="first", steps=1, mask_block=4, held_out=("cleo", "bert")), work)
    path = str(work.pretraining / "first" / "encoder.safetensors")
    with pytest.raises(LeakageError, match="have seen anna-image of held-out subject anna"):
        run(config(method="simmim", run="second", init=path, held_out=("cleo", "anna")), work)
    run(config(run="second", init=path, steps=1, held_out=("cleo",)), work)
    assert json.loads((work.pretraining / "second" / "encoder.json").read_text())["subjects"] == ["anna", "bert"]


def test_a_bare_file_of_weights_keeps_out_whom_it_has_seen(work: Workspace, tmp_path: Path) -> None:
    run(config(method="none", run="first", held_out=("cleo",)), work)
    path = tmp_path / "bare" / "mine.safetensors"
    path.parent.mkdir()
    shutil.copy(work.pretraining / "first" / "encoder.safetensors", path)
    with pytest.raises(LeakageError, match="have seen anna-image of held-out subject anna"):
        run(config(method="none", run="second", init=str(path), held_out=("cleo", "anna")), work)
    facts = facts_of(path)
    assert facts == json.loads((work.pretraining / "first" / "encoder.json").read_text())
    assert (facts["run"], facts["method"], facts["seen"]) == ("first", "none", "known")
    assert facts["fingerprint"] == read_record(work.pretraining / "first").fingerprint


def test_weights_that_do_not_tell_whom_they_have_seen_are_warned_of_and_leave_it_unknown(
    work: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "theirs.pth"
    torch.save(create_encoder("conv_tiny").state_dict(), path)
    with pytest.warns(UnknownPeopleWarning, match=r"theirs\.pth have seen"):
        run(config(method="none", run="first", init=str(path)), work)
    facts = json.loads((work.pretraining / "first" / "encoder.json").read_text())
    assert (facts["seen"], facts["subjects"]) == ("unknown", ["anna", "bert"])
    # And it stays unknown in what starts from these.
    with pytest.warns(UnknownPeopleWarning):
        run(config(method="none", run="second", init=str(work.pretraining / "first" / "encoder.safetensors")), work)
    assert json.loads((work.pretraining / "second" / "encoder.json").read_text())["seen"] == "unknown"


def test_other_weights_at_the_same_path_are_another_run(work: Workspace) -> None:
    path = work.pretraining / "first" / "encoder.safetensors"
    for seed in (0, 1):
        run(config(method="none", run="first", seed=seed), work)
        again = run(config(method="none", run="second", init=str(path)), work)
        assert not again.done_before
        assert all(torch.equal(value, saved(work, "first")[name]) for name, value in saved(work, "second").items())


class Halving(nn.Module):
    """Somebody's own encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = ConvTiny(widths=(8, 16, 24), depths=(0, 0, 0))
        self.embed_dim, self.widths = self.inner.embed_dim, self.inner.widths

    def forward(self, volume: torch.Tensor) -> Any:
        return self.inner(volume)


def test_a_module_of_your_own_is_pretrained_and_loaded_again(work: Workspace) -> None:
    torch.manual_seed(0)
    mine = Halving()
    before = mine.inner.neck.weight.clone()
    result = run(config(encoder="mine", run="mine"), work, encoder=mine)
    assert result.encoder == "mine"
    assert not torch.equal(before, mine.inner.neck.weight)
    with pytest.raises(ConfigError, match="module of your own"):
        load_aligned(work.pretraining / "mine")
    model, _ = load_aligned(work.pretraining / "mine", Halving())
    assert torch.equal(model.encoder.inner.neck.weight, mine.inner.neck.weight)


def own(seed: int, kind: type[Halving] = Halving) -> Halving:
    torch.manual_seed(seed)
    return kind()


class Another(Halving):
    """The same weights in another class, which may compute something else."""


def test_two_modules_of_your_own_are_two_runs(work: Workspace) -> None:
    settings = config(encoder="mine", steps=1)
    assert not run(settings, work, encoder=own(0)).done_before
    assert run(settings, work, encoder=own(0)).done_before
    assert not run(settings, work, encoder=own(1)).done_before
    assert run(settings, work, encoder=own(1)).done_before
    assert not run(settings, work, encoder=own(1, Another)).done_before
    assert not run(config(encoder="conv_tiny", steps=1), work).done_before
    trained = own(0)
    assert not run(settings, work, encoder=trained).done_before
    assert not run(settings, work, encoder=trained).done_before, "it has been trained since"


@pytest.mark.filterwarnings("ignore::med3dinsight.encoders.seen.UnknownPeopleWarning")
def test_a_module_of_your_own_starts_from_the_initial_weights(work: Workspace, tmp_path: Path) -> None:
    path, start = tmp_path / "start.safetensors", own(3)
    save_weights(path, start)
    mine = own(0)
    run(config(encoder="mine", method="none", init=str(path)), work, encoder=mine)
    assert all(torch.equal(value, start.state_dict()[name]) for name, value in mine.state_dict().items())
    save_weights(path, create_encoder("vit_tiny", image_size=16))
    with pytest.raises(InputError, match=r"fills 0\.0 % of this encoder"):
        run(config(encoder="mine", init=str(path)), work, encoder=own(0))


def test_a_module_that_is_no_encoder_is_refused(work: Workspace) -> None:
    mine = own(0)
    mine.widths = (1, 2, 3)
    with pytest.raises(ConfigError, match="Halving is no encoder: the maps of its pyramid"):
        run(config(encoder="mine"), work, encoder=mine)
    with pytest.raises(ConfigError, match="its embed_dim is None"):
        run(config(encoder="mine"), work, encoder=nn.Conv3d(1, 8, 3))


@pytest.mark.parametrize("reconstruction", ["plain", "masked"])
def test_reconstruction_gets_better_beside_the_alignment(work: Workspace, reconstruction: str) -> None:
    from med3dinsight.training.run_log import read_log

    changes = {"steps": 60, "reconstruction": reconstruction, "reconstruction_weight": 10.0}
    changes |= {"mask_block": 4} if reconstruction == "masked" else {}
    run(config(run="rebuilt", **changes), work)
    errors = [row["loss_reconstruction"] for row in read_log(work.pretraining / "rebuilt" / "log.jsonl")]
    assert errors[-1] < 0.8 * errors[0]
