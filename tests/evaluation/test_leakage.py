from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from med3dinsight.errors import LeakageError
from med3dinsight.evaluation.finetuned import read_runs
from med3dinsight.evaluation.leakage import CHECKED, CHECKED_SCANS, UNKNOWN_WEIGHTS, refuse_leakage

EMPTY = np.zeros((2, 2, 2), np.uint8)


@pytest.fixture
def people(bench: Any) -> Any:
    bench.add_case("chest", "anna", EMPTY)
    bench.add_case("belly", "trained", EMPTY)
    return bench


def check(bench: Any, **facts: Any) -> str:
    bench.add_run("psat-s0", {"chest": EMPTY}, **facts)
    return refuse_leakage(read_runs(bench.workspace, ())[0], bench.cases, bench.workspace)


def test_a_clean_run_is_passed_and_says_what_was_checked(people: Any) -> None:
    people.add_pretraining("psat", ["trained"], ["voxels of belly"])
    assert check(people) == CHECKED
    assert check(people, init="scratch") == CHECKED


@pytest.mark.parametrize("side", ["train", "validation"])
def test_a_test_subject_in_training_is_refused(people: Any, side: str) -> None:
    with pytest.raises(LeakageError, match="psat-s0: test subject anna was seen in training"):
        check(people, init="scratch", **{side: ["trained", "anna"]})


def test_a_test_subject_in_pretraining_is_refused(people: Any) -> None:
    people.add_pretraining("psat", ["anna"], [])
    with pytest.raises(LeakageError, match=r"test subject anna was seen in pre-training \(psat\)"):
        check(people)


@pytest.mark.parametrize("seen", [{"subjects": ["anna"]}, {"subjects": ["x"], "voxel_sha256": ["voxels of chest"]}])
def test_a_test_person_whose_label_map_became_texts_is_refused(people: Any, seen: dict[str, list[str]]) -> None:
    people.add_pretraining("psat", ["trained"], [])
    path = people.workspace.pretraining / "psat" / "encoder.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "caption_labels": {"subjects": ["trained"]}}))
    assert check(people) == CHECKED
    path.write_text(json.dumps({**json.loads(path.read_text()), "caption_labels": seen}))
    with pytest.raises(LeakageError, match=r"seen in the label maps that the texts of pre-training \(psat\)"):
        check(people)


def test_a_subject_is_refused_even_where_only_its_other_case_is_tested(people: Any) -> None:
    with pytest.raises(LeakageError, match="anna"):
        check(people, init="scratch", test=[], train=["anna"])


def test_the_same_voxels_under_another_subject_are_refused_in_training(people: Any) -> None:
    people.add_case("copy", "trained", EMPTY, voxels="chest")
    with pytest.raises(LeakageError, match="voxels of test case chest were seen in training"):
        check(people, init="scratch")


def test_voxels_that_a_run_recorded_are_refused_after_the_case_is_gone(people: Any) -> None:
    with pytest.raises(LeakageError, match="voxels of test case chest"):
        check(people, init="scratch", train_voxel_sha256=["voxels of chest"])


def test_the_same_voxels_under_another_subject_are_refused_in_pretraining(people: Any) -> None:
    people.add_pretraining("psat", ["somebody"], ["voxels of chest"])
    with pytest.raises(LeakageError, match="voxels of test case chest were seen in pre-training"):
        check(people)


def test_weights_of_unknown_origin_are_passed_and_said(people: Any, tmp_path: Any) -> None:
    assert check(people, init=str(tmp_path / "weights" / "encoder.safetensors")) == UNKNOWN_WEIGHTS


def test_what_initial_weights_told_is_checked_after_their_file_is_gone(people: Any) -> None:
    told = {"seen": "known", "subjects": ["trained"], "voxel_sha256": []}
    assert check(people, init="gone.safetensors", initial_weights=told) == CHECKED
    with pytest.raises(LeakageError, match="anna was seen in pre-training"):
        check(people, init="gone.safetensors", initial_weights={**told, "subjects": ["anna"]})
    assert check(people, init="gone.safetensors", initial_weights={**told, "seen": "unknown"}) == UNKNOWN_WEIGHTS


def test_a_run_that_started_from_weights_of_unknown_people_is_said_to(people: Any) -> None:
    people.add_pretraining("psat", ["trained"], [])
    path = people.workspace.pretraining / "psat" / "encoder.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "seen": "unknown"}))
    assert check(people) == UNKNOWN_WEIGHTS


def test_a_name_of_weights_is_not_checked_by_what_lies_in_the_folder_of_the_call(
    people: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "encoder.json").write_text(json.dumps({"subjects": ["trained"], "voxel_sha256": []}))
    assert check(people, init="i3resnet152") == UNKNOWN_WEIGHTS


def test_weights_from_a_file_are_checked_by_the_facts_beside_them(people: Any) -> None:
    people.add_pretraining("elsewhere", ["anna"], [])
    with pytest.raises(LeakageError, match="anna"):
        check(people, init=str(people.workspace.pretraining / "elsewhere" / "encoder.safetensors"))


def with_content(bench: Any, **contents: str) -> None:
    for name, content in contents.items():
        bench.cases[name] = replace(bench.cases[name], content_sha256=content * 64)


def test_the_same_scan_prepared_otherwise_is_refused_with_the_pair_named(people: Any) -> None:
    with_content(people, chest="c", belly="c")
    with pytest.raises(LeakageError, match="the voxels of test case chest were seen in training") as caught:
        check(people, init="scratch")
    for word in ("belly (subject trained", "belly.nii.gz", "chest.nii.gz"):
        assert word in caught.value.message


def test_a_scan_whose_hash_a_run_or_its_weights_recorded_is_refused_after_the_case_is_gone(people: Any) -> None:
    with_content(people, chest="c", belly="b")
    with pytest.raises(LeakageError, match="seen in training: its voxels were seen under another subject"):
        check(people, init="scratch", train_content_sha256=["c" * 16])
    told = {"seen": "known", "subjects": ["trained"], "voxel_sha256": [], "content_sha256": ["c" * 16]}
    with pytest.raises(LeakageError, match=r"seen in pre-training \(gone.safetensors\)"):
        check(people, init="gone.safetensors", initial_weights=told)


def test_it_says_whether_the_scans_own_voxels_could_be_checked(people: Any) -> None:
    told = {"seen": "known", "subjects": ["trained"], "voxel_sha256": [], "content_sha256": ["a" * 16]}
    assert check(people, init="scratch") == CHECKED
    with_content(people, chest="c", belly="b")
    assert check(people, init="scratch") == CHECKED_SCANS
    assert check(people, init="gone.safetensors", initial_weights=told) == CHECKED_SCANS
    before = {**told, "content_sha256": []}
    assert check(people, init="gone.safetensors", initial_weights=before) == CHECKED, "weights of an earlier version"
