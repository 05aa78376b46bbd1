"""Runs that are refused before an hour is spent."""

from __future__ import annotations

from typing import Any

import pytest
from learned_workspace import Toy, finetune_config, pretrain_config
from pydantic import ValidationError

from med3dinsight.errors import ConfigError, LeakageError, WorkspaceError
from med3dinsight.pretraining.run import run
from med3dinsight.workspace import Workspace


def config(**changes: Any) -> Any:
    return pretrain_config(**{"held_out": ("cleo",), **changes})


@pytest.mark.parametrize("name", ["..", "../first", "a/b", ".hidden", "-x", ""])
def test_a_run_is_never_written_outside_of_its_place(name: str) -> None:
    with pytest.raises(ValidationError):
        pretrain_config(run=name)
    with pytest.raises(ValidationError):
        finetune_config(run=name)


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"encoder": "conv_tinny"}, "no encoder called conv_tinny", "did you mean conv_tiny?"),
        ({"method": "papers"}, "no pre-training method called papers", "did you mean paper?"),
        ({"held_out": ("dora",)}, "held-out subject dora is not in the workspace", "anna, bert, cleo"),
        ({"held_out": ("anna", "bert", "cleo")}, "every subject is held out", "leave some"),
        ({"alignment": "infonce", "batch_volumes": 1, "slices_per_volume": 1}, "nothing to contrast", "2 or more"),
        ({"device": "gpu"}, "no device called gpu", "cuda:N"),
    ],
)
def test_settings_that_cannot_be_are_refused(work: Workspace, changes: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        run(config(**changes), work)
    assert hint in caught.value.hint
    assert not (work.pretraining / "insight" / "encoder.safetensors").exists()


def test_a_crop_that_does_not_fit_the_encoder_is_refused_with_sizes_that_do(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("learned_workspace.CROP", 20)
    work = toy.ready("anna", "bert")
    with pytest.raises(ConfigError, match="20 voxels cannot be cut into patches of 16") as caught:
        run(pretrain_config(encoder="unetr_tiny"), work)
    assert "such as 16 or 32" in caught.value.hint


def test_texts_and_towers_that_are_not_embedded_are_refused_with_the_verb_to_run(work: Workspace) -> None:
    for changes, verb in (
        ({"captioner": "template"}, "embed --towers toy --captioner template"),
        ({"towers": "minilm-lite"}, "embed --towers minilm-lite --captioner tissue"),
    ):
        with pytest.raises(WorkspaceError, match="is not complete") as caught:
            run(config(**changes), work)
        assert verb in caught.value.hint
    with pytest.raises(ConfigError, match="no towers called clop"):
        run(config(towers="clop"), work)


def test_the_voxels_of_a_person_held_out_under_another_name_are_refused(toy: Toy) -> None:
    toy.add("double", seed=7)
    toy.add("cleo", seed=7)
    work = toy.ready("anna", held_out=("cleo",))
    with pytest.raises(LeakageError, match="subject double has the very voxels of held-out cleo-image"):
        run(pretrain_config(held_out=("cleo",)), work)
    toy.embed(held_out=("cleo", "double"))
    assert run(pretrain_config(held_out=("cleo", "double")), work).steps == 4


def test_projections_fitted_on_a_person_held_out_are_refused(toy: Toy) -> None:
    work = toy.ready("anna", "bert", "cleo")
    with pytest.raises(LeakageError, match="fitted on held-out subject cleo") as caught:
        run(config(), work)
    assert "--held-out cleo" in caught.value.hint
    toy.embed(held_out=("cleo",))
    assert run(config(), work).steps == 4


def test_features_of_other_volumes_or_texts_than_there_are_now_are_refused(toy: Toy) -> None:
    """Training would go on with voxels and features that do not belong together, and nobody would know."""
    work = toy.ready("anna", "bert", "cleo", held_out=("cleo",))
    toy.add("bert", seed=99)
    toy.prepare()
    with pytest.raises(WorkspaceError, match="features/toy/tissue was made from prepared as it was before") as caught:
        run(config(), work)
    assert "embed --towers toy --captioner tissue` again" in caught.value.hint
    toy.caption(text=lambda ref: f"plane={int(ref.plane)} at=0.5")
    with pytest.raises(WorkspaceError, match="was made from"):
        run(config(), work)
    toy.embed(held_out=("cleo",))
    assert run(config(), work).steps == 4
