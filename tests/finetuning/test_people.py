from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from learned_workspace import finetune_config
from pydantic import ValidationError

from med3dinsight.datasets.splits import split_subjects
from med3dinsight.errors import ConfigError, LeakageError
from med3dinsight.finetuning.config import FinetuneConfig
from med3dinsight.finetuning.people import choose_people, refuse_seen
from med3dinsight.records import Case

IDENTITY = ((1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (0.0, 0.0, 0.0, 1.0))
NAMES = ((1, "ball"), (2, "gap"))


def case(subject: str, scan: str = "image", **changes: Any) -> Case:
    name = f"{subject}-{scan}"
    values: dict[str, Any] = {
        "id": name,
        "subject": subject,
        "image": name,
        "modality": "ct",
        "modality_guessed": False,
        "shape": (4, 4, 4),
        "spacing_mm": (1.0, 1.0, 1.0),
        "affine": IDENTITY,
        "source_shape": (4, 4, 4),
        "source_affine": IDENTITY,
        "source_sha256": "",
        "voxel_sha256": f"voxels of {name}",
        "window": (0.0, 1.0),
        "offset": 0,
        "has_label": True,
        "label_names": NAMES,
    }
    return Case(**{**values, **changes})


CASES = [case("anna"), case("anna", "later"), case("bert"), case("cleo"), case("dora", has_label=False, label_names=())]


def ids(cases: list[Case]) -> list[str]:
    return [case.id for case in cases]


def test_all_scans_of_a_person_fall_on_the_persons_side() -> None:
    people = choose_people(finetune_config(train=("anna",), validation=("cleo",), test=("bert",)), CASES)
    assert ids(people.train) == ["anna-image", "anna-later"]
    assert ids(people.validation) == ["cleo-image"]
    assert ids(people.test) == ["bert-image"]


def test_with_nobody_named_the_labelled_people_are_split_7_1_2() -> None:
    cases = [case(f"p{number}") for number in range(10)] + [case("unlabelled", has_label=False)]
    people = choose_people(finetune_config(train=(), test=(), split_seed=3), cases)
    train, validation, test = split_subjects([f"p{number}" for number in range(10)], 3)
    assert (len(train), len(validation), len(test)) == (7, 1, 2)
    sides = [[case.subject for case in side] for side in (people.train, people.validation, people.test)]
    assert sides == [train, validation, test]


def test_with_test_people_alone_all_other_labelled_people_train() -> None:
    people = choose_people(finetune_config(train=(), test=("bert",)), CASES)
    assert ids(people.train) == ["anna-image", "anna-later", "cleo-image"]
    assert (ids(people.validation), ids(people.test)) == ([], ["bert-image"])
    people = choose_people(finetune_config(train=(), validation=("anna",), test=("bert",)), CASES)
    assert ids(people.train) == ["cleo-image"]


@pytest.mark.parametrize("count", range(2, 30))
def test_a_split_loses_and_doubles_nobody_and_always_tests_somebody(count: int) -> None:
    names = [f"p{number}" for number in range(count)]
    train, validation, test = split_subjects([*names, *names], seed=count)
    assert sorted([*train, *validation, *test]) == sorted(names)
    assert train
    assert test
    assert bool(validation) == (count >= 5)
    assert split_subjects(reversed(names), seed=count) == (train, validation, test)


def test_one_person_cannot_be_split() -> None:
    with pytest.raises(ConfigError, match=r"1 subject\(s\) with labels cannot be split"):
        choose_people(finetune_config(train=(), test=()), [case("anna"), case("anna", "later")])


def test_a_class_that_nobody_looked_for_is_refused() -> None:
    """Its voxels would hide in the background of such a label map."""
    partly = [case("anna", label_names=((1, "ball"),)), case("bert"), case("cleo")]
    with pytest.raises(ConfigError, match="subject anna has no case labelled for every class"):
        choose_people(finetune_config(), partly)
    people = choose_people(finetune_config(train=(), test=()), partly)
    assert "anna" not in {case.subject for side in (people.train, people.test) for case in side}


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"train": ("dora",)}, "subject dora has no case labelled", "known: anna, bert, cleo"),
        ({"test": ("bart",)}, "subject bart has no case labelled", "did you mean bert?"),
        ({"test": ()}, "needs training and test subjects", "7:1:2"),
        ({"train": (), "validation": ("anna", "cleo")}, "needs training and test subjects", "7:1:2"),
    ],
)
def test_sides_that_cannot_be_filled_are_refused(changes: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        choose_people(finetune_config(**changes), CASES)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "sides",
    [
        {"train": ("anna", "bert"), "test": ("bert",)},
        {"train": ("anna",), "validation": ("anna",), "test": ("bert",)},
        {"train": ("anna",), "validation": ("bert",), "test": ("bert",)},
    ],
)
def test_a_person_on_two_sides_is_refused(sides: dict[str, Any]) -> None:
    with pytest.raises(LeakageError, match="is on two sides of the split"):
        choose_people(finetune_config(**sides), CASES)


@pytest.mark.parametrize("side", ["validation", "test"])
def test_the_same_voxels_under_two_names_on_two_sides_are_refused(side: str) -> None:
    cases = [case("anna"), replace(case("bert"), voxel_sha256=case("anna").voxel_sha256), case("cleo")]
    sides = {"train": ("anna",), side: ("bert",)} | ({"test": ("cleo",)} if side == "validation" else {})
    with pytest.raises(LeakageError, match=r"anna-image \(anna\) and bert-image \(bert\) have the same voxels"):
        choose_people(finetune_config(**sides), cases)


def test_people_whom_pretraining_has_seen_are_refused_by_name_and_by_voxels() -> None:
    nobody = {"subjects": ["zoe"], "voxel_sha256": ["other"]}
    refuse_seen(nobody, [case("anna")], "first")
    for facts in ({**nobody, "subjects": ["anna"]}, {**nobody, "voxel_sha256": ["voxels of anna-image"]}):
        with pytest.raises(
            LeakageError, match=r"anna-image \(subject anna\) was seen in pre-training run first"
        ) as caught:
            refuse_seen(facts, [case("bert"), case("anna")], "first")
        assert "held_out = ['anna']" in caught.value.hint


def test_a_run_is_named_after_arm_and_seed_unless_told() -> None:
    assert finetune_config(init="insight-s1", seed=2).run_name == "insight-s1-s2"
    assert finetune_config(init="insight-s1", arm="insight", seed=2).run_name == "insight-s2"
    assert finetune_config(init="some/where/weights.safetensors").run_name == "weights-s0"
    assert finetune_config(run="mine").run_name == "mine"
    with pytest.raises(ValidationError, match="classes"):
        FinetuneConfig(classes={})
