"""A scan is known again under another name, orientation, file type and window, before anything is trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from learned_workspace import Toy, finetune_config, pretrain_config

from med3dinsight.datasets.leakage import CopiedScanWarning
from med3dinsight.encoders.seen import facts_of
from med3dinsight.errors import LeakageError
from med3dinsight.finetuning.people import choose_people
from med3dinsight.finetuning.run import run
from med3dinsight.pretraining.run import run as pretrain
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.voxel_store import MANIFEST, read_manifest

from .conftest import case


def add_copy(toy: Toy, subject: str, of: str, scans: Path | None = None) -> None:
    """The scan and label map of a person (of other scans) under another name: turned, mirrored, as float32."""
    scans = scans or toy.scans
    turned = np.array([[2, -1], [0, 1], [1, -1]])
    for name in ("image", "label"):
        path = toy.scans / subject / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        copy = nib.load(scans / of / f"{name}.nii.gz").as_reoriented(turned)
        kind = np.float32 if name == "image" else np.uint16
        nib.save(nib.Nifti1Image(np.asarray(copy.dataobj).astype(kind), copy.affine), path)
    (toy.scans / subject / "label.json").write_text((scans / of / "label.json").read_text())


@pytest.fixture
def copied(toy: Toy) -> Toy:
    """Anna, bert and cleo, and zoe, whose scan is anna's."""
    for subject in ("anna", "bert", "cleo"):
        toy.add(subject)
    add_copy(toy, "zoe", "anna")
    toy.prepare()
    return toy


def trained(work: Workspace) -> list[Path]:
    return list(work.finetuning.rglob("*"))


def test_two_sides_of_a_split(copied: Toy) -> None:
    anna, zoe = (row for row in read_manifest(copied.workspace.prepared) if row.subject in ("anna", "zoe"))
    assert anna.source_sha256 != zoe.source_sha256
    assert anna.source_shape != zoe.source_shape
    with pytest.raises(LeakageError) as caught:
        run(finetune_config(train=("anna", "bert"), test=("zoe",)), copied.workspace)
    for word in ("anna-image (anna)", "zoe-image (zoe)", anna.image, zoe.image):
        assert word in caught.value.message
    assert not trained(copied.workspace)


def test_one_side_is_said_and_goes_on(copied: Toy) -> None:
    cases = read_manifest(copied.workspace.prepared)
    with pytest.warns(
        CopiedScanWarning, match=r"anna-image \(subject anna, .* and zoe-image \(subject zoe, .* training"
    ):
        people = choose_people(finetune_config(train=("anna", "zoe"), test=("bert",)), cases)
    assert len(people.train) == 2


def test_people_held_out_of_pretraining(copied: Toy) -> None:
    copied.caption()
    with pytest.raises(LeakageError, match="case anna-image of subject anna has the very voxels of held-out zoe-image"):
        pretrain(pretrain_config(method="mae", held_out=("zoe",)), copied.workspace)


def test_weights_from_another_workspace_that_was_prepared_by_another_window(toy: Toy, tmp_path: Path) -> None:
    for subject in ("anna", "bert", "cleo"):
        toy.add(subject)
    toy.prepare()
    pretrain(pretrain_config(method="none", run="first", held_out=("cleo",)), toy.workspace)
    weights = toy.workspace.pretraining / "first" / "encoder.safetensors"
    told = facts_of(weights)
    assert told is not None
    assert len(told["content_sha256"]) == 2
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Toy(tmp_path / "elsewhere")
    add_copy(elsewhere, "zoe", "anna", toy.scans)
    add_copy(elsewhere, "yves", "cleo", toy.scans)
    elsewhere.prepare(ct_window=(-500.0, 500.0))
    hashes = {row.voxel_sha256 for row in read_manifest(toy.workspace.prepared)}
    assert not hashes & {row.voxel_sha256 for row in read_manifest(elsewhere.workspace.prepared)}
    with pytest.raises(
        LeakageError, match=r"test case zoe-image \(subject zoe\) was seen .* under another subject"
    ) as caught:
        run(finetune_config(init=str(weights), train=("yves",), test=("zoe",)), elsewhere.workspace)
    assert caught.value.hint == "pre-train again without the subject of that scan, or test on others"
    result = run(finetune_config(init=str(weights), train=("zoe",), test=("yves",)), elsewhere.workspace)
    facts = json.loads((Path(result.model) / "model.json").read_text())
    zoe = next(row for row in read_manifest(elsewhere.workspace.prepared) if row.subject == "zoe")
    assert facts["train_content_sha256"] == [zoe.content_sha256[:16]]


def test_the_split_of_the_data_set_is_taken_and_said_where_nobody_is_named(toy: Toy) -> None:
    for subject in ("anna", "bert", "cleo"):
        toy.add(subject)
    toy.prepare()
    path = toy.workspace.prepared / MANIFEST
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    sides = {"anna": "train", "bert": "test", "cleo": "validation"}
    path.write_text("".join(json.dumps({**row, "split": sides[row["subject"]]}) + "\n" for row in rows))
    result = run(finetune_config(train=(), test=()), toy.workspace)
    assert result.notes == ["people parted by the data set: 1 train, 1 validation, 1 test"]
    facts = json.loads((Path(result.model) / "model.json").read_text())
    assert (facts["split"], facts["test"], facts["validation"]) == ("by the data set", ["bert"], ["cleo"])
    assert run(finetune_config(train=(), test=()), toy.workspace).notes == result.notes, "also when it is done before"
    named = run(finetune_config(train=("cleo",), test=("anna",), run="named"), toy.workspace)
    assert named.notes == ["people parted as named: 1 train, 0 validation, 1 test"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "7:1:2 with seed 0"),
        ({"split_seed": 4}, "7:1:2 with seed 4"),
        ({"folds": 3, "fold": 1}, "into 3 folds, of which number 1 is tested"),
        ({"test": ("p1",)}, "as named"),
    ],
)
def test_who_parted_the_people_is_said(changes: dict[str, Any], words: str) -> None:
    cases = [case(f"p{number}", split="train" if number else "") for number in range(6)]
    people = choose_people(finetune_config(**{"train": (), "test": (), **changes}), cases)
    assert people.split == words, "a data set without test people parts nobody"


def test_validation_people_whom_pretraining_has_seen_are_said(pretrained: Workspace) -> None:
    result = run(finetune_config(init="first", validation=("bert",), test=("cleo",)), pretrained)
    assert result.notes[1:] == ["pre-training first has seen the validation people bert"]
