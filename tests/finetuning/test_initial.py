"""Where fine-tuning starts: runs, files of weights of our own and of others, and whom they have seen."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from learned_workspace import finetune_config

from med3dinsight.encoders import create_encoder
from med3dinsight.encoders.seen import Seen, UnknownPeopleWarning
from med3dinsight.errors import ConfigError, LeakageError
from med3dinsight.exchange.importing import import_weights
from med3dinsight.finetuning.initial import build_network, find_init
from med3dinsight.finetuning.run import run
from med3dinsight.networks import create_network
from med3dinsight.workspace import Workspace


def test_people_whom_the_pretraining_run_has_seen_are_not_tested(pretrained: Workspace, tmp_path: Path) -> None:
    with pytest.raises(LeakageError, match=r"bert-image .* was seen in pre-training run first"):
        run(finetune_config(init="first", test=("bert",)), pretrained)
    # The same by the file of weights, with what lies beside it.
    weights = str(pretrained.pretraining / "first/encoder.safetensors")
    with pytest.raises(LeakageError, match="bert-image"):
        run(finetune_config(init=weights, network="conv_tiny", test=("bert",)), pretrained)
    # And by the bare file.
    bare = shutil.copy(weights, tmp_path / "bare.safetensors")
    with pytest.raises(LeakageError, match="bert-image"):
        run(finetune_config(init=str(bare), test=("bert",)), pretrained)
    # They may train and validate.
    assert run(finetune_config(init="first", validation=("bert",), test=("cleo",)), pretrained).validation


def test_weights_from_a_file_are_told_by_their_content(pretrained: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    config = finetune_config(init=str(path), network="conv_tiny", test=("cleo",))
    for name, arm in (("first", "mine-s0"), ("second", "mine-s0")):
        shutil.copy(pretrained.pretraining / name / "encoder.safetensors", path)
        result = run(config, pretrained)
        assert (result.run, result.done_before) == (arm, False)
    assert run(config, pretrained).done_before


def test_a_checkpoint_of_others_is_a_start_and_leaves_its_table_in_the_run(
    pretrained: Workspace, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    theirs = create_network("conv_tiny", 7).state_dict()
    path = tmp_path / "theirs.pth"
    torch.save({"state_dict": {f"module.{name}": value for name, value in theirs.items()}}, path)
    with pytest.raises(ConfigError, match="weights from a file need a network"):
        run(finetune_config(init=str(path), test=("cleo",)), pretrained)
    config = finetune_config(init=str(path), network="conv_tiny", test=("cleo",))
    network = build_network(config, find_init(config, pretrained), 3, tmp_path)
    with pytest.warns(UnknownPeopleWarning, match=r"theirs\.pth have seen"):
        assert run(config, pretrained).run == "theirs-s0"
    facts = json.loads((pretrained.finetuning / "theirs-s0" / "model.json").read_text())
    assert facts["initial_weights"] == {"seen": "unknown", "subjects": [], "voxel_sha256": [], "content_sha256": []}
    name = "stages.1.0.weight"
    assert torch.equal(network.encoder.state_dict()[name], theirs[f"encoder.{name}"])
    report = json.loads((pretrained.finetuning / "theirs-s0" / "initial_weights.json").read_text())
    assert report["file"] == str(path)
    assert {row["name"] for row in report["renamed"]} == set(network.encoder.state_dict())
    assert {row["file_name"].split(".")[1] for row in report["skipped"]} == {"up1", "up2", "classify"}


def test_an_imported_encoder_needs_no_name_of_a_network(pretrained: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "theirs.pth"
    torch.save(create_encoder("conv_tiny").state_dict(), path)
    import_weights(str(path), encoder="conv_tiny", output=tmp_path / "imported")
    init = find_init(finetune_config(init=str(tmp_path / "imported/encoder.safetensors"), test=("cleo",)), pretrained)
    assert (init.network, init.seen) == ("conv_tiny", Seen(known=False))


def test_a_model_is_not_the_start_of_one_that_is_tested_on_its_own_training_people(
    pretrained: Workspace, tmp_path: Path
) -> None:
    run(finetune_config(init="first", train=("anna",), validation=("bert",), test=("cleo",)), pretrained)
    path = shutil.copy(pretrained.finetuning / "first-s0" / "model.safetensors", tmp_path / "mine.safetensors")
    with pytest.raises(LeakageError, match="anna-image"):
        run(finetune_config(init=str(path), train=("cleo",), test=("anna",)), pretrained)
    assert find_init(finetune_config(init=str(path), test=("cleo",)), pretrained).seen.subjects == {"anna", "bert"}


def test_published_weights_are_a_start_by_their_name(pretrained: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("med3dinsight.finetuning.initial.fetch_published", lambda name: Path(f"{name}.pt"))
    init = find_init(finetune_config(init="i3resnet152"), pretrained)
    assert (init.network, init.weights, init.facts) == ("i3resnet152", Path("i3resnet152.pt"), None)
