from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from learned_workspace import finetune_config
from pydantic import ValidationError

from med3dinsight.datasets.splits import split_alike, split_subjects
from med3dinsight.encoders.seen import Seen
from med3dinsight.errors import ConfigError, LeakageError
from med3dinsight.finetuning.config import FinetuneConfig
from med3dinsight.finetuning.label_table import LabelTable
from med3dinsight.finetuning.people import choose_people, refuse_seen
from med3dinsight.records import Case

from .conftest import case

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


def test_a_fold_is_tested_and_all_others_train_with_nobody_tested_twice() -> None:
    tested: list[str] = []
    for fold in range(3):
        people = choose_people(finetune_config(train=(), test=(), folds=3, fold=fold), CASES)
        sides = [{case.subject for case in side} for side in (people.train, people.validation, people.test)]
        assert sides[0] | sides[2] == {"anna", "bert", "cleo"}
        assert not sides[1]
        tested += sides[2]
    assert sorted(tested) == ["anna", "bert", "cleo"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"folds": 4}, "3 labelled subject.* cannot be parted into 4 folds"),
        ({"folds": 3, "fold": 3}, "no fold 3 of 3"),
        ({"fold": 2}, "fold = 2 has no effect without folds"),
        ({"folds": 3, "test": ("anna",)}, "sides are named as well"),
    ],
)
def test_folds_that_cannot_be_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        choose_people(finetune_config(**{"train": (), "test": (), **changes}), CASES)


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


def test_classes_that_no_label_map_was_drawn_for_are_named_with_what_there_is() -> None:
    partly = [case("anna", label_names=((1, "ball"),)), case("bert", label_names=((1, "gap"),))]
    with pytest.raises(ConfigError, match=r"no label map was drawn for the class b = \['bal'\]") as caught:
        choose_people(finetune_config(classes={"g": ("gap",), "b": ("bal",)}), partly)
    assert caught.value.hint == "did you mean ball?"
    with pytest.raises(ConfigError, match=r"for all of finetune.classes") as caught:
        choose_people(finetune_config(), partly)
    assert caught.value.hint


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
    zoe = Seen(frozenset({"zoe"}), frozenset({"other"}))
    refuse_seen(zoe, [case("anna")], "first")
    for seen, hint in (
        (replace(zoe, subjects=frozenset({"anna"})), "held_out = ['anna']"),
        (replace(zoe, voxel_sha256=frozenset({"voxels of anna-image"})), "without the subject of that scan"),
    ):
        with pytest.raises(
            LeakageError, match=r"anna-image \(subject anna\) was seen in pre-training run first"
        ) as caught:
            refuse_seen(seen, [case("bert"), case("anna")], "first")
        assert hint in caught.value.hint


def test_a_run_is_named_after_arm_and_seed_unless_told() -> None:
    assert finetune_config(init="insight-s1", seed=2).run_name == "insight-s1-s2"
    assert finetune_config(init="insight-s1", arm="insight", seed=2).run_name == "insight-s2"
    assert finetune_config(init="some/where/weights.safetensors").run_name == "weights-s0"
    assert finetune_config(run="mine").run_name == "mine"
    with pytest.raises(ValidationError, match="classes"):
        FinetuneConfig(classes={})


def classified(**changes: Any) -> FinetuneConfig:
    return finetune_config(
        task="classification", classes={}, table="labels.csv", **{"train": (), "test": (), **changes}
    )


def table_of(labels: dict[str, int], **sides: str) -> LabelTable:
    return LabelTable(("sick", "well"), labels, sides)


LABELS = table_of({"anna-image": 0, "anna-later": 1, "bert-image": 1, "cleo-image": 0, "dora-image": 1})


def test_a_table_needs_no_label_maps_and_its_cases_alone_are_taken() -> None:
    people = choose_people(classified(train=("anna", "bert"), test=("dora",)), CASES, LABELS)
    assert ids(people.train) == ["anna-image", "anna-later", "bert-image"]
    assert ids(people.test) == ["dora-image"]
    few = table_of({"anna-image": 0, "bert-image": 1, "cleo-image": 0})
    people = choose_people(classified(test=("cleo",)), CASES, few)
    assert ids(people.train) == ["anna-image", "bert-image"]
    with pytest.raises(ConfigError, match="subject dora has no label"):
        choose_people(classified(test=("dora",)), CASES, few)


def test_the_split_of_a_table_is_taken_and_nobody_may_be_named_beside_it() -> None:
    sides = {"anna": "train", "bert": "validation", "cleo": "test", "dora": "train"}
    table = table_of(LABELS.class_of, **sides)
    people = choose_people(classified(), CASES, table)
    assert [ids(side) for side in (people.train, people.validation, people.test)] == [
        ["anna-image", "anna-later", "dora-image"],
        ["bert-image"],
        ["cleo-image"],
    ]
    with pytest.raises(ConfigError, match="the table has a column split, and subjects are named as well"):
        choose_people(classified(test=("cleo",)), CASES, table)
    with pytest.raises(ConfigError, match="needs training and test subjects"):
        choose_people(classified(), CASES, table_of(LABELS.class_of, **{**sides, "cleo": "train"}))


def test_a_class_that_nobody_trains_is_refused() -> None:
    with pytest.raises(ConfigError, match="no training subject has the class well") as caught:
        choose_people(classified(train=("cleo",), test=("anna",)), CASES, LABELS)
    assert "split_seed" in caught.value.hint


def test_people_and_voxels_on_two_sides_are_refused_for_classification_too() -> None:
    with pytest.raises(LeakageError, match="subject anna is on two sides"):
        choose_people(classified(train=("anna", "bert"), test=("anna",)), CASES, LABELS)
    double = [*CASES[:2], replace(CASES[2], voxel_sha256=CASES[3].voxel_sha256), *CASES[3:]]
    with pytest.raises(LeakageError, match="have the same voxels"):
        choose_people(classified(train=("anna", "bert"), test=("cleo",)), double, LABELS)


@pytest.mark.parametrize("seed", range(5))
def test_with_nobody_named_every_side_has_like_shares_of_the_classes(seed: int) -> None:
    """Twenty sick and ten well people: 7:1:2 of each."""
    cases = [case(f"p{number}") for number in range(30)]
    table = table_of({row.id: int(number % 3 == 0) for number, row in enumerate(cases)})
    people = choose_people(classified(split_seed=seed), cases, table)
    well = [sum(table.class_of[row.id] for row in side) for side in (people.train, people.validation, people.test)]
    assert [len(people.train), len(people.validation), len(people.test)] == [21, 3, 6]
    assert well == [7, 1, 2]


@pytest.mark.parametrize("count", range(2, 30))
def test_a_split_by_kind_loses_nobody_and_keeps_the_only_one_of_a_kind_in_training(count: int) -> None:
    kinds = {f"p{number:02d}": number % 4 if number else "rare" for number in range(count)}
    sides = split_alike(kinds, seed=count)
    assert sorted(name for side in sides for name in side) == sorted(kinds)
    plain = split_subjects(kinds, seed=count)
    assert [len(side) for side in sides] == [len(side) for side in plain]
    assert count < 8 or "p00" in sides[0]
    assert split_alike(dict(reversed(kinds.items())), seed=count) == sides
