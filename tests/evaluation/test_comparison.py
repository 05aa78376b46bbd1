from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from med3dinsight.evaluation.comparison import arm_row, compare_arms, group_arms
from med3dinsight.evaluation.finetuned import FinetunedRun

Dice = float | None


def fine_tuned(arm: str, seed: int, init: str, network: str = "conv_tiny") -> FinetunedRun:
    classes = ({"name": "liver", "match": ["liver"]}, {"name": "lung", "match": ["lung"]})
    return FinetunedRun(
        f"{arm}-s{seed}", Path(), "", arm, seed, init, network, classes, (), (), (), (), train_voxel_sha256=()
    )


def row(dice: Dice) -> dict[str, Any]:
    distance, share = (None, None) if dice is None else (10 * (1 - dice), dice)
    return {"dice": dice, "hd95_mm": distance, "nsd": share, "voxels_truth": 7, "voxels_prediction": 7}


def arms_of(table: dict[tuple[str, int], dict[str, tuple[Dice, Dice]]], **networks: str) -> Any:
    """Arms of ``{(arm, seed): {case: (dice of the liver, dice of the lung)}}``."""
    runs = {
        key: fine_tuned(*key, "scratch" if key[0].startswith("scratch") else "psat", networks.get(key[0], "conv_tiny"))
        for key in table
    }
    scores = {
        runs[key].name: {case: {"liver": row(liver), "lung": row(lung)} for case, (liver, lung) in cases.items()}
        for key, cases in table.items()
    }
    return group_arms(runs.values(), scores)


PEOPLE = {"a": "ann", "b": "bob", "c": "cia"}


def dice_row(arms: Any, people: dict[str, str] = PEOPLE) -> Any:
    rows, refused = compare_arms(arms, people, seed=0)
    assert not refused
    return next(item for item in rows if item["metric"] == "dice")


def test_a_cases_value_is_the_mean_of_its_defined_classes() -> None:
    arms = arms_of(
        {
            ("scratch", 0): {"a": (0.5, None), "b": (0.2, 0.4)},
            ("psat", 0): {"a": (0.7, 0.9), "b": (0.5, None)},
        }
    )
    assert dice_row(arms)["mean_difference"] == pytest.approx(((0.8 - 0.5) + (0.5 - 0.3)) / 2)


def test_cases_are_averaged_in_a_person_before_people_are() -> None:
    arms = arms_of(
        {
            ("scratch", 0): {"a": (0.0, None), "b": (0.0, None), "c": (0.0, None)},
            ("psat", 0): {"a": (0.1, None), "b": (0.3, None), "c": (0.6, None)},
        }
    )
    result = dice_row(arms, {"a": "ann", "b": "ann", "c": "cia"})
    assert result["mean_difference"] == pytest.approx((0.2 + 0.6) / 2)
    assert (result["n_subjects"], result["n_cases"], result["scope"]) == (2, 3, "subjects")


def test_seeds_are_paired_by_number() -> None:
    arms = arms_of(
        {
            ("scratch", 0): {"a": (0.1, None)},
            ("scratch", 1): {"a": (0.5, None)},
            ("psat", 1): {"a": (0.8, None)},
            ("psat", 2): {"a": (0.9, None)},
        }
    )
    result = dice_row(arms)
    assert result["mean_difference"] == pytest.approx(0.3)
    assert result["n_seeds"] == 1


def test_arms_without_a_common_seed_are_not_compared_and_said() -> None:
    arms = arms_of({("scratch", 0): {"a": (0.1, None)}, ("psat", 1): {"a": (0.8, None)}})
    rows, refused = compare_arms(arms, PEOPLE, seed=0)
    assert not rows
    assert {item["reason"] for item in refused} == {"the two arms have no seed in common"}
    assert len(refused) == 3


def test_a_case_that_is_undefined_in_one_seed_is_left_out_and_counted() -> None:
    arms = arms_of(
        {
            ("scratch", 0): {"a": (0.1, None), "b": (0.1, None)},
            ("scratch", 1): {"a": (0.1, None), "b": (None, None)},
            ("psat", 0): {"a": (0.3, None), "b": (0.9, None)},
            ("psat", 1): {"a": (0.3, None), "b": (None, None)},
        }
    )
    result = dice_row(arms)
    assert result["mean_difference"] == pytest.approx(0.2)
    assert (result["n_cases"], result["n_cases_left_out"]) == (1, 1)


def test_who_rightly_predicts_none_of_a_class_is_perfect_beside_who_predicts_some() -> None:
    arms = arms_of({("scratch", 0): {"a": (0.5, None)}, ("psat", 0): {"a": (0.5, 0.0)}})
    assert dice_row(arms)["mean_difference"] == pytest.approx((0 + (0 - 1)) / 2)


def test_nothing_defined_is_not_compared_and_said() -> None:
    arms = arms_of({("scratch", 0): {"a": (None, None)}, ("psat", 0): {"a": (None, None)}})
    rows, refused = compare_arms(arms, PEOPLE, seed=0)
    assert not rows
    assert refused[0]["reason"] == "no case is defined in both arms and all common seeds"


def test_a_twin_has_the_same_network() -> None:
    table = {(arm, 0): {"a": (0.5, None)} for arm in ("scratch", "scratch-unetr", "psat", "psat-unetr", "vit")}
    arms = arms_of(table, **{"scratch-unetr": "unetr", "psat-unetr": "unetr", "vit": "vit"})
    rows, refused = compare_arms(arms, PEOPLE, seed=0)
    assert {(item["arm"], item["against"]) for item in rows} == {("psat", "scratch"), ("psat-unetr", "scratch-unetr")}
    assert refused == [{"arm": "vit", "against": None, "reason": "no scratch arm of this network and classes"}]


def test_p_values_are_adjusted_over_all_comparisons() -> None:
    table: dict[tuple[str, int], dict[str, tuple[Dice, Dice]]] = {}
    people = {f"case{number}": f"person{number}" for number in range(10)}
    for arm, gain in (("scratch", 0.0), ("good", 0.2), ("none", 0.0)):
        table[arm, 0] = {case: (0.5 + gain + 0.01 * number, None) for number, case in enumerate(people)}
    rows, _ = compare_arms(arms_of(table), people, seed=0)
    good = [item for item in rows if item["arm"] == "good"]
    assert [item["p_value"] for item in good] == pytest.approx([2 / 2**10] * 3)
    assert [item["p_adjusted"] for item in good] == pytest.approx([6 * 2 / 2**10] * 3)
    assert [item["p_adjusted"] for item in rows if item["arm"] == "none"] == [1.0] * 3


def test_the_order_of_runs_and_people_does_not_matter() -> None:
    table = {
        (arm, seed): {case: (0.3 + 0.1 * (arm == "psat") * (ord(case) % 5) + 0.02 * seed, None) for case in "cab"}
        for arm in ("psat", "scratch")
        for seed in (1, 0)
    }
    assert dice_row(arms_of(table)) == dice_row(arms_of(dict(reversed(table.items()))))


def test_a_row_is_the_mean_over_the_seeds_that_are_defined() -> None:
    arms = arms_of(
        {
            ("psat", 2): {"a": (0.4, None)},
            ("psat", 0): {"a": (0.8, None)},
            ("psat", 1): {"a": (None, None), "b": (0.1, 0.2)},
        }
    )
    psat = arm_row(arms[0])
    assert psat["seed"] == [0, 1, 2]
    assert psat["cases"]["a"]["liver"]["by_seed"]["dice"] == [0.8, None, 0.4]
    assert psat["cases"]["a"]["liver"]["dice"] == pytest.approx(0.6)
    assert psat["cases"]["a"]["lung"]["dice"] is None
    assert psat["cases"]["b"]["lung"]["by_seed"]["dice"] == [None, 0.2, None]


def test_scratch_arms_come_first() -> None:
    table = {(arm, 0): {"a": (0.5, None)} for arm in ("psat", "alpha", "scratch")}
    assert [arm.name for arm in arms_of(table)] == ["scratch", "alpha", "psat"]
