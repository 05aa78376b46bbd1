"""Classification end to end: from a table of labels to a model folder with probabilities of the test people."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from learned_workspace import (
    KilledError,
    Toy,
    classification_config,
    copy_of,
    finetune_config,
    killed_after,
    write_labels,
)

from med3dinsight.cli import main
from med3dinsight.errors import ConfigError, InputError, LeakageError
from med3dinsight.finetuning.classification import ClassificationTask
from med3dinsight.finetuning.config import FinetuneConfig
from med3dinsight.finetuning.inference import predict_probabilities
from med3dinsight.finetuning.initial import build_network, find_init
from med3dinsight.finetuning.label_table import LabelTable, read_label_table
from med3dinsight.finetuning.model_folder import read_model
from med3dinsight.finetuning.people import People, choose_people
from med3dinsight.finetuning.run import FinetuneResult, run
from med3dinsight.finetuning.whole_volume import whole_volume
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.provenance import read_record
from med3dinsight.workspace.voxel_store import VoxelStore, read_manifest

from .conftest import case

LABELS = {"anna": "sick", "bert": "well", "cleo": "sick"}
SIDES = {"anna": "train", "bert": "train", "cleo": "test"}


@pytest.fixture
def work(ready_once: Path, tmp_path: Path) -> Workspace:
    """Anna, bert and cleo, prepared."""
    return copy_of(ready_once, tmp_path)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Anna and bert train, cleo is tested."""
    return write_labels(tmp_path, LABELS, SIDES)


def task_of(config: FinetuneConfig, work: Workspace) -> ClassificationTask:
    cases = read_manifest(work.prepared)
    table = read_label_table(Path(str(config.table)), cases)
    people = choose_people(config, cases, table)
    return ClassificationTask(config, VoxelStore(work.prepared), people, table, work.root, torch.device("cpu"))


@pytest.mark.parametrize(
    ("network", "edge", "steps", "rate"),
    [
        ("conv_tiny", 16, 40, 2e-3),
        ("resnet50_3d_tiny", 32, 50, 6e-3),
        ("medicalnet_tiny", 32, 50, 6e-3),
        ("densenet121_3d_tiny", 32, 50, 1e-2),
        ("mrnet_tiny", 32, 60, 2e-3),
        ("m3t_tiny", 16, 60, 1e-3),
    ],
)
def test_a_classifier_learns_two_people_by_heart_by_the_command(
    work: Workspace, table: Path, network: str, edge: int, steps: int, rate: float
) -> None:
    """The test that comes before any other claim about training."""
    settings = {"network": network, "learning_rate": rate, "contrast_augmentation": 0.0, "patch_size": edge}
    settings |= {"checkpoint_every": steps, "device": "cpu"}
    words = [word for name, value in settings.items() for word in ("--set", f"finetune.{name}={value}")]
    command = ["finetune", str(work.root), "--task", "classification", "--table", str(table), "--steps", str(steps)]
    assert main([*command, *words]) == 0
    model, facts = read_model(work.finetuning / "scratch-s0")
    store = VoxelStore(work.prepared)
    for name, right in (("anna-image", 0), ("bert-image", 1)):
        voxels = whole_volume(store.volume(name), facts["patch_size"], facts["volume_input"])
        assert predict_probabilities(model, voxels, torch.device("cpu"))[right] > 0.9
    log = [json.loads(line) for line in (work.finetuning / "scratch-s0/log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < 0.1


def test_the_result_has_the_keys_of_the_contract_and_scores_of_the_test(work: Workspace, tmp_path: Path) -> None:
    table = write_labels(tmp_path, LABELS)
    result = run(classification_config(table, train=("anna", "bert"), validation=(), test=("cleo",), run="mine"), work)
    assert (result.run, result.task, result.init, result.validation) == ("mine", "classification", "scratch", None)
    assert result.test is not None
    assert set(result.test) == {"accuracy", "balanced_accuracy", "auroc"}
    assert result.test["auroc"] is None, "one class alone is tested"
    facts = json.loads((work.finetuning / "mine/model.json").read_text())
    assert (facts["task"], facts["num_classes"], facts["network"]) == ("classification", 2, "conv_tiny")
    assert facts["classes"] == [{"name": "sick"}, {"name": "well"}]
    assert (facts["train"], facts["test"], facts["test_cases"]) == (["anna", "bert"], ["cleo"], ["cleo-image"])
    record = read_record(work.finetuning / "mine")
    assert record is not None
    assert FinetuneResult(**record.result) == result
    rows = list(csv.DictReader((work.finetuning / "mine/predictions.csv").read_text().splitlines()))
    assert [(row["case"], row["subject"], row["label"]) for row in rows] == [("cleo-image", "cleo", "sick")]
    probabilities = [float(rows[0][f"probability_{name}"]) for name in ("sick", "well")]
    assert sum(probabilities) == pytest.approx(1)
    assert rows[0]["predicted"] == ("sick" if probabilities[0] >= probabilities[1] else "well")
    assert result.test["accuracy"] == float(rows[0]["predicted"] == "sick")


def test_validation_people_are_scored(toy: Toy, tmp_path: Path) -> None:
    for subject in "abcdef":
        toy.add(subject)
    toy.prepare()
    labels = {subject: "xy"[number % 2] for number, subject in enumerate("abcdef")}
    sides = {subject: ("train", "validation", "test")[number // 2] for number, subject in enumerate("abcdef")}
    result = run(classification_config(write_labels(tmp_path, labels, sides)), toy.workspace)
    assert result.validation is not None
    assert all(0 <= float(value or 0) <= 1 for value in result.validation.values())
    assert result.validation["auroc"] in (0.0, 0.5, 1.0)


def test_a_killed_run_goes_on_and_ends_with_the_same_bits(work: Workspace, table: Path) -> None:
    """The classifier drops out values: what torch draws depends on the step alone."""
    files = ("model.safetensors", "predictions.csv")
    run(classification_config(table, run="undisturbed"), work)
    for step in (1, 3, 4, 5):
        config = classification_config(table, run=f"killed-{step}", checkpoint_every=2)
        with pytest.raises(KilledError):
            run(config, work, progress=killed_after(step))
        assert read_record(work.finetuning / config.run_name) is None
        torch.manual_seed(step)
        run(config, work)
        for name in files:
            first, again = (work.finetuning / folder / name for folder in ("undisturbed", config.run_name))
            assert first.read_bytes() == again.read_bytes()


def test_a_run_is_done_again_when_the_table_says_something_else_and_not_when_it_moved(
    work: Workspace, table: Path, tmp_path: Path
) -> None:
    assert not run(classification_config(table), work).done_before
    (tmp_path / "elsewhere").mkdir()
    moved = table.rename(tmp_path / "elsewhere/other.csv")
    assert run(classification_config(moved), work).done_before
    changed = write_labels(tmp_path, {**LABELS, "cleo": "well"}, SIDES)
    assert not run(classification_config(changed), work).done_before


def test_every_case_is_shown_once_before_any_is_shown_again(work: Workspace, tmp_path: Path) -> None:
    table = write_labels(tmp_path, {**LABELS, "cleo": "well"})
    config = classification_config(table, contrast_augmentation=0.0, batch_size=1)
    cases = read_manifest(work.prepared)
    labels = LabelTable(("a", "b", "c"), {row.id: number for number, row in enumerate(cases)}, {})
    people = People(cases, [], [])
    task = ClassificationTask(config, VoxelStore(work.prepared), people, labels, tmp_path, torch.device("cpu"))
    shown = [task.draw(step) for step in range(12)]
    order = [int(target) for _, target in shown]
    assert all(sorted(order[start : start + 3]) == [0, 1, 2] for start in range(0, 12, 3))
    assert len({tuple(order[start : start + 3]) for start in range(0, 12, 3)}) > 1
    for image, target in shown:
        expected = whole_volume(VoxelStore(work.prepared).volume(cases[int(target)].id), 16, "resize")
        assert np.allclose(image[0, 0].numpy() * 255, expected, atol=1e-3)


def test_balanced_weights_count_every_class_alike(toy: Toy, tmp_path: Path) -> None:
    for subject in "abcde":
        toy.add(subject)
    toy.prepare()
    table = write_labels(tmp_path, dict(zip("abcde", "nnnpp", strict=True)))
    given: dict[str, Any] = {"train": tuple("abcd"), "test": ("e",)}
    equal, balanced = (
        task_of(classification_config(table, class_weights=how, **given), toy.workspace)
        for how in ("equal", "balanced")
    )
    assert balanced.weights.tolist() == pytest.approx([4 / (2 * 3), 4 / (2 * 1)]), "as scikit-learn's balanced"
    scores, target = torch.tensor([[2.0, 0.0]] * 4), torch.tensor([0, 0, 0, 1])
    low, high = float(np.log1p(np.exp(-2))), float(np.log1p(np.exp(2)))
    assert float(equal.loss(scores, target)) == pytest.approx((3 * low + high) / 4)
    assert float(balanced.loss(scores, target)) == pytest.approx((low + high) / 2)


def test_a_frozen_encoder_stays_as_it_was_and_the_rest_learns(pretrained_once: Path, tmp_path: Path) -> None:
    work = copy_of(pretrained_once, tmp_path)
    table = write_labels(tmp_path, LABELS, SIDES)
    run(classification_config(table, init="first", freeze_encoder=True), work)
    network, _ = read_model(work.finetuning / "first-s0")
    before, _ = read_model_of_encoder(work, "first")
    for name, value in network.encoder.state_dict().items():  # type: ignore[union-attr]
        assert torch.equal(value, before[name])
    assert float(network.classify.bias.detach().abs().max()) > 0  # type: ignore[union-attr]
    run(classification_config(table, init="first", run="free"), work)
    free, _ = read_model(work.finetuning / "free")
    assert any(not torch.equal(value, before[name]) for name, value in free.encoder.state_dict().items())  # type: ignore[union-attr]


def read_model_of_encoder(work: Workspace, name: str) -> tuple[dict[str, torch.Tensor], Path]:
    from safetensors.torch import load_file

    path = work.pretraining / name / "encoder.safetensors"
    return load_file(path), path


def test_running_statistics_of_a_frozen_encoder_stay_too(work: Workspace, table: Path, tmp_path: Path) -> None:
    """Normalisation over the batch learns without gradients."""
    config = classification_config(table, network="resnet50_3d_tiny", freeze_encoder=True)
    run(config, work)
    network, _ = read_model(work.finetuning / "scratch-s0")
    start = build_network(config, find_init(config, work), 2, tmp_path).state_dict()
    moved = {name for name, value in network.state_dict().items() if not torch.equal(value, start[name])}
    assert moved == {"classify.weight", "classify.bias"}


def test_a_network_without_an_encoder_cannot_be_frozen_or_loaded(pretrained_once: Path, tmp_path: Path) -> None:
    work = copy_of(pretrained_once, tmp_path)
    config = classification_config(write_labels(tmp_path, LABELS, SIDES), network="densenet121_3d_tiny", patch_size=32)
    for changes in ({"freeze_encoder": True}, {"init": "first"}):
        with pytest.raises(ConfigError, match="densenet121_3d_tiny has no encoder that could be loaded or frozen"):
            run(config.model_copy(update=changes), work)


def test_test_people_whom_pretraining_has_seen_are_refused(pretrained_once: Path, tmp_path: Path) -> None:
    work = copy_of(pretrained_once, tmp_path)
    table = write_labels(tmp_path, {**LABELS, "cleo": "well"})
    with pytest.raises(LeakageError, match=r"bert-image .* was seen in pre-training run first"):
        run(classification_config(table, init="first", train=("anna", "cleo"), test=("bert",)), work)


def test_a_table_that_does_not_fit_stops_it_before_anything_is_written(work: Workspace, tmp_path: Path) -> None:
    table = write_labels(tmp_path, {**LABELS, "dora": "well"})
    with pytest.raises(InputError, match="no prepared case has the image dora"):
        run(classification_config(table), work)
    assert not work.finetuning.exists()


def test_native_volumes_are_resized_or_cropped_and_cubes_taken_whole(toy: Toy, tmp_path: Path) -> None:
    for subject in LABELS:
        toy.add(subject, shape=(40, 20, 20))
    toy.prepare()
    table = write_labels(tmp_path, LABELS, SIDES)
    voxels = VoxelStore(toy.workspace.prepared).volume("anna-image")
    resized, cropped = (
        task_of(classification_config(table, volume_input=how), toy.workspace).volumes[0] for how in ("resize", "crop")
    )
    assert np.array_equal(cropped, voxels[12:28, 2:18, 2:18])
    assert not resized[:, :4].any(), "padded to a cube"
    assert resized[:, 4:12, 4:12].astype(float).mean() == pytest.approx(voxels.astype(float).mean(), abs=2)
    toy.prepare(protocol="cube128", cube_size=24)
    run(classification_config(table, steps=1), toy.workspace)
    assert json.loads((toy.workspace.finetuning / "scratch-s0/model.json").read_text())["patch_size"] == 24


@pytest.mark.parametrize("side", ["train", "validation", "test"])
def test_a_volume_too_thin_to_be_resized_is_refused_before_training(tmp_path: Path, side: str) -> None:
    labels = dict(zip("abcd", "xyxy", strict=True))
    table = LabelTable(("x", "y"), {f"{name}-image": number % 2 for number, name in enumerate(labels)}, {})
    shapes = {name: (20, 20, 20) for name in labels}
    thin = {"train": "a", "validation": "c", "test": "d"}[side]
    shapes[thin] = (40, 22, 2)

    class Store:
        def volume(self, name: str) -> np.ndarray:
            return np.zeros(shapes[name[0]], np.uint8)

    people = People([case("a"), case("b")], [case("c")], [case("d")])
    config = classification_config(tmp_path / "labels.csv")
    with pytest.raises(InputError, match="40 x 22 x 2 voxels is thinner than one voxel of a cube of 16") as caught:
        ClassificationTask(config, Store(), people, table, tmp_path, torch.device("cpu"))  # type: ignore[arg-type]
    assert "volume_input = crop" in caught.value.hint
    cropped = config.model_copy(update={"volume_input": "crop"})
    assert ClassificationTask(cropped, Store(), people, table, tmp_path, torch.device("cpu")).volumes  # type: ignore[arg-type]


def test_settings_of_one_task_are_refused_for_the_other() -> None:
    for values, message in (
        ({"task": "classification"}, "classification needs a table"),
        ({"task": "classification", "table": "t", "classes": {"a": (1,)}}, "takes its classes from finetune.table"),
        ({"task": "classification", "table": "t", "recipe": "nnunet"}, "nnU-Net's recipe is for segmentation"),
        ({"classes": {"a": (1,)}, "table": "t"}, "segmentation learns from label maps"),
        ({}, "segmentation needs at least one class"),
    ):
        with pytest.raises(ValueError, match=message):
            FinetuneConfig(**values)  # type: ignore[arg-type]
    assert finetune_config().learning_rate == 3e-3
