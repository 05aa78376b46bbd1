from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from learned_workspace import FLIPPED, KilledError, Toy, copy_of, finetune_config, killed_after

from med3dinsight.encoders.weights import load_weights
from med3dinsight.errors import ConfigError, InputError, WorkspaceError
from med3dinsight.finetuning.inference import predict_scores
from med3dinsight.finetuning.initial import build_network, find_init
from med3dinsight.finetuning.model_folder import read_model
from med3dinsight.finetuning.run import FinetuneResult, run
from med3dinsight.networks import create_network
from med3dinsight.volumes.volume import spacing_of
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.files import write_json
from med3dinsight.workspace.provenance import NotDone, look_only, read_record
from med3dinsight.workspace.voxel_store import VoxelStore


@pytest.fixture
def work(ready_once: Path, tmp_path: Path) -> Workspace:
    """Anna, bert and cleo, prepared."""
    return copy_of(ready_once, tmp_path)


def outputs(workspace: Workspace, run_name: str) -> dict[str, bytes]:
    folder = workspace.finetuning / run_name
    return {path.name: path.read_bytes() for path in (folder / "model.safetensors", *folder.glob("predictions/*"))}


def dice(one: np.ndarray, other: np.ndarray, value: int) -> float:
    return float(2 * ((one == value) & (other == value)).sum() / ((one == value).sum() + (other == value).sum()))


def test_it_can_learn_a_person_by_heart(overfitted_once: Path) -> None:
    """The test that comes before any other claim about training."""
    network, facts = read_model(overfitted_once / "work/finetuning/overfitted")
    store = VoxelStore(overfitted_once / "work/prepared")
    voxels, label = store.volume("anna-image"), store.label("anna-image")
    predicted = predict_scores(network, voxels, facts["patch_size"], 0.5, torch.device("cpu")).argmax(0)
    assert min(dice(predicted, label, value) for value in (1, 2)) > 0.9


def test_predictions_lie_on_the_grid_of_the_file_and_fit_its_labels(overfitted_once: Path) -> None:
    """Bert's file is stored to the left and back; his ball, like anna's, is brighter than all else."""
    predicted = nib.load(overfitted_once / "work/finetuning/overfitted/predictions/bert-image.nii.gz")
    truth = nib.load(overfitted_once / "scans/bert/label.nii.gz")
    assert predicted.shape == truth.shape
    assert np.allclose(predicted.affine, FLIPPED)
    assert predicted.get_data_dtype() == np.uint8
    assert dice(np.asarray(predicted.dataobj), np.asarray(truth.dataobj), 1) > 0.7


def test_predictions_go_back_to_a_file_of_another_spacing(toy: Toy) -> None:
    toy.add("anna")
    toy.add("bert", shape=(16, 30, 15), affine=FLIPPED @ np.diag([1.5, 0.5, 2, 1]))
    toy.prepare(spacing_mm=2.5)
    run(finetune_config(steps=1), toy.workspace)
    predicted = nib.load(toy.workspace.finetuning / "scratch-s0/predictions/bert-image.nii.gz")
    assert predicted.shape == (16, 30, 15)
    assert spacing_of(predicted.affine) == pytest.approx((3.0, 1.0, 4.0))


def test_the_result_has_the_keys_of_the_contract_and_the_model_says_what_it_is(work: Workspace) -> None:
    result = run(finetune_config(validation=("cleo",), seed=3), work)
    assert {"run", "task", "init", "model", "validation"} <= set(result.__dict__)
    assert result.validation is not None
    assert set(result.validation) == {"ball", "gap"}
    folder = work.finetuning / "scratch-s3"
    assert Path(result.model) == folder
    facts = json.loads((folder / "model.json").read_text())
    assert facts["classes"] == [{"name": "ball", "match": ["ball"]}, {"name": "gap", "match": ["gap"]}]
    assert (facts["network"], facts["num_classes"], facts["patch_size"]) == ("conv_tiny", 3, 16)
    assert (facts["arm"], facts["seed"], facts["init"]) == ("scratch", 3, "scratch")
    assert (facts["train"], facts["validation"], facts["test"]) == (["anna"], ["cleo"], ["bert"])
    assert facts["test_cases"] == ["bert-image"]
    assert facts["prepare"]["spacing_mm"] == 2.0
    record = read_record(folder)
    assert record is not None
    assert FinetuneResult(**record.result) == result


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(work: Workspace) -> None:
    """Killed before a checkpoint, after one, after the last step, and after the prediction."""
    run(finetune_config(run="undisturbed"), work)
    for step in (1, 3, 4, 5):
        config = finetune_config(run=f"killed-{step}", checkpoint_every=2)
        with pytest.raises(KilledError):
            run(config, work, progress=killed_after(step))
        assert read_record(work.finetuning / config.run_name) is None
        run(config, work)
        assert outputs(work, config.run_name) == outputs(work, "undisturbed")


def test_how_often_a_run_is_saved_is_not_part_of_what_it_is(work: Workspace) -> None:
    with pytest.raises(KilledError):
        run(finetune_config(checkpoint_every=1), work, progress=killed_after(3))
    done: list[int] = []
    run(finetune_config(checkpoint_every=4), work, progress=lambda number, total, note="": done.append(number))
    assert 1 not in done and 4 in done
    assert run(finetune_config(), work).done_before


def test_a_second_run_finds_all_done_and_takes_no_torch(work: Workspace) -> None:
    first = run(finetune_config(), work)
    code = """
import json, sys
from med3dinsight.finetuning import run
from med3dinsight.finetuning.config import FinetuneConfig
from med3dinsight.workspace import Workspace
result = run(FinetuneConfig(**json.loads(sys.argv[2])), Workspace(sys.argv[1]))
print(json.dumps([result.__dict__, "torch" in sys.modules]))
"""
    command = [sys.executable, "-c", code, str(work.root), finetune_config().model_dump_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [{**first.__dict__, "done_before": True}, False]


def test_a_look_says_what_is_left_and_does_no_work(work: Workspace) -> None:
    with look_only(), pytest.raises(NotDone):
        run(finetune_config(), work)
    assert not work.finetuning.exists()


def test_other_settings_under_the_same_name_are_not_complete_before_their_end(work: Workspace) -> None:
    run(finetune_config(run="mine"), work)
    with pytest.raises(KilledError):
        run(finetune_config(run="mine", steps=5), work, progress=killed_after(1))
    assert read_record(work.finetuning / "mine") is None


def test_the_scratch_twin_has_the_same_decoder_and_the_pretrained_one_the_runs_encoder(
    pretrained: Workspace, tmp_path: Path
) -> None:
    scratch = finetune_config(seed=5, test=("cleo",))
    warm = finetune_config(seed=5, test=("cleo",), init="first")
    twins = [
        build_network(config, find_init(config, pretrained), 3, tmp_path).state_dict() for config in (scratch, warm)
    ]
    assert twins[0].keys() == twins[1].keys()
    same = {name for name in twins[0] if torch.equal(twins[0][name], twins[1][name])}
    # Norms start at 1 and 0 on both sides; every weight of the encoder that is drawn differs.
    assert {name for name in twins[0] if not name.startswith("encoder.")} <= same
    assert not {name for name in same if name.startswith("encoder.") and twins[0][name].ndim > 1}
    encoder = create_network("conv_tiny", 3).encoder
    load_weights(encoder, pretrained.pretraining / "first/encoder.safetensors")
    for name, value in encoder.state_dict().items():
        assert torch.equal(twins[1][f"encoder.{name}"], value)
    other_seed = build_network(finetune_config(seed=6), find_init(scratch, pretrained), 3, tmp_path).state_dict()
    assert not torch.equal(other_seed["up1.reduce.weight"], twins[0]["up1.reduce.weight"])
    assert not list(tmp_path.glob("initial_weights.json")), "weights of our own need no table"


def test_a_pretrained_run_is_finetuned_and_scratch_is_another_result(pretrained: Workspace) -> None:
    result = run(finetune_config(test=("cleo",), init="first"), pretrained)
    assert (result.run, result.init) == ("first-s0", "first")
    run(finetune_config(test=("cleo",)), pretrained)
    assert (
        outputs(pretrained, "first-s0")["model.safetensors"] != outputs(pretrained, "scratch-s0")["model.safetensors"]
    )


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"init": "third"}, WorkspaceError, "pretraining/third is not complete"),
        ({"init": "some/where"}, ConfigError, "some/where is no initialisation"),
        ({"init": "/some/where"}, ConfigError, "/some/where is no initialisation"),
        ({"init": "none.safetensors"}, ConfigError, "no such weights: none.safetensors"),
        ({"init": "none.pth", "network": "conv_tiny"}, ConfigError, "no such weights: none.pth"),
        ({"network": "conv_tinny"}, ConfigError, "no segmentation network called conv_tinny"),
        ({"network": "vit_tiny", "init": "first"}, InputError, "fills 0.0 % of this encoder"),
        ({"network": "unetr_tiny", "patch_size": 20}, ConfigError, "cannot be cut into patches of 16"),
    ],
)
def test_weights_and_networks_that_cannot_be_are_refused(
    pretrained: Workspace, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(finetune_config(**{"test": ("cleo",), **changes}), pretrained)
    assert not list(pretrained.finetuning.glob("*/model.json"))


def test_cubes_are_taken_whole_and_volumes_that_happen_to_be_cubes_are_not(toy: Toy) -> None:
    for subject in ("anna", "bert"):
        toy.add(subject, shape=(20, 20, 20))
    toy.prepare()
    run(finetune_config(run="native", steps=1), toy.workspace)
    toy.prepare(protocol="cube128", cube_size=24)
    run(finetune_config(run="cube", steps=1), toy.workspace)
    sizes = {
        name: json.loads((toy.workspace.finetuning / name / "model.json").read_text())["patch_size"]
        for name in ("native", "cube")
    }
    assert sizes == {"native": 16, "cube": 24}


def test_a_label_map_without_names_is_matched_by_value_and_refused_by_name(toy: Toy) -> None:
    """By name nothing would match, and the model would learn that all is background."""
    for subject in ("anna", "bert"):
        toy.add(subject, names={})
    toy.prepare()
    with pytest.raises(InputError, match="no table of names"):
        run(finetune_config(), toy.workspace)
    by_value = {"ball": (1,), "gap": (2,)}
    assert run(finetune_config(classes=by_value, steps=1), toy.workspace).run == "scratch-s0"


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, overfitted_once: Path) -> None:
    with pytest.raises(InputError, match="is no model folder"):
        read_model(tmp_path)
    shutil.copytree(overfitted_once / "work/finetuning/overfitted", tmp_path / "model")
    (tmp_path / "model/model.safetensors").write_bytes(b"no weights")
    with pytest.raises(InputError, match="no readable safetensors file"):
        read_model(tmp_path / "model")
    facts = json.loads((tmp_path / "model/model.json").read_text())
    write_json(tmp_path / "model/model.json", {**facts, "num_classes": 7})
    shutil.copy(overfitted_once / "work/finetuning/overfitted/model.safetensors", tmp_path / "model")
    with pytest.raises(InputError, match="does not fit this network"):
        read_model(tmp_path / "model")
