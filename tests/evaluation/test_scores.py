"""What stands in scores.json: figures counted by hand, units of comparison, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scored_boxes import indices, label, scores_of, slab

from med3dinsight.evaluation.config import EvaluateConfig
from med3dinsight.evaluation.run import run

METRICS = ["dice", "hd95_mm", "nsd"]


def test_scores_are_the_ones_counted_by_hand(study: Any) -> None:
    document = scores_of(study)
    assert (document["format_version"], document["task"]) == (1, "segmentation")
    assert sorted(document["metric_units"]) == METRICS
    assert list(document["arms"]) == ["scratch", "psat"]
    scratch, psat = document["arms"]["scratch"], document["arms"]["psat"]
    assert (scratch["init"], scratch["network"], scratch["seed"]) == ("scratch", "conv_tiny", [0, 1])
    liver = scratch["cases"]["chest"]["liver"]
    assert liver["by_seed"]["dice"] == pytest.approx([2 * 32 / (64 + 32), 2 * 16 / (64 + 16)])
    assert liver["dice"] == pytest.approx((2 / 3 + 0.4) / 2)
    assert liver["by_seed"]["hd95_mm"] == pytest.approx([2.0, 3.0])
    assert psat["cases"]["chest"]["liver"]["by_seed"]["dice"] == pytest.approx([1.0, 2 * 48 / (64 + 48)])
    assert liver["voxels_truth"] == 64


def test_a_class_that_neither_has_is_null_and_counted(study: Any) -> None:
    document = scores_of(study)
    lung = document["arms"]["psat"]["cases"]["chest"]["lung"]
    assert [lung[metric] for metric in METRICS] == [None] * 3
    assert lung["by_seed"]["dice"] == [None, None]
    reason = "neither truth nor prediction has this class"
    assert {"run": "psat-s0", "class": "lung", "count": 1, "reason": reason} in document["left_out"]["values"]


def test_every_metric_is_compared_with_scratch(study: Any) -> None:
    rows = {row["metric"]: row for row in scores_of(study)["comparisons"]}
    assert list(rows) == METRICS
    dice = rows["dice"]
    assert (dice["arm"], dice["against"]) == ("psat", "scratch")
    assert dice["mean_difference"] == pytest.approx((1 / 3 + (6 / 7 - 0.4)) / 2)
    assert rows["hd95_mm"]["mean_difference"] == pytest.approx(-2.0)
    for row in rows.values():
        low, high = row["ci95"]
        assert low <= row["mean_difference"] <= high
        assert (row["scope"], row["n_subjects"], row["n_seeds"]) == ("within subject", 1, 2)
        assert (row["p_value"], row["p_adjusted"]) == (1.0, 1.0)


def test_nothing_in_the_file_is_nan(study: Any) -> None:
    path = Path(run(EvaluateConfig(), study.workspace).scores)

    def refuse(word: str) -> None:
        raise AssertionError(word)

    json.loads(path.read_text(), parse_constant=refuse)


def test_missing_an_organ_costs_the_whole_diagonal(bench: Any) -> None:
    bench.add_case("chest", "anna", label(liver=slab(0, 4)), affine=np.diag([1.0, 1.0, 2.0, 1.0]))
    bench.add_run("scratch-s0", {"chest": indices()})
    liver = scores_of(bench)["arms"]["scratch"]["cases"]["chest"]["liver"]
    diagonal = (8**2 + 8**2 + 16**2) ** 0.5
    assert [liver[metric] for metric in METRICS] == [0.0, pytest.approx(diagonal), 0.0]


def test_lengths_are_those_of_the_source_grid_in_any_axis_order(bench: Any) -> None:
    # Stored as (z, x, y), the last two running to the left and to the back; 3 mm along z, 1 along x, 2 along y.
    affine = np.array([[0, -1, 0, 9], [0, 0, -2, 9], [3, 0, 0, 0], [0, 0, 0, 1]], dtype=float)
    stored = label(liver=slab(0, 4))
    bench.add_case("chest", "anna", np.ascontiguousarray(stored[::-1, ::-1].transpose(2, 0, 1)), affine=affine)
    predicted = np.ascontiguousarray(indices(liver=slab(0, 3))[::-1, ::-1].transpose(2, 0, 1))
    bench.add_run("scratch-s0", {"chest": predicted})
    liver = scores_of(bench)["arms"]["scratch"]["cases"]["chest"]["liver"]
    assert liver["hd95_mm"] == pytest.approx(3.0)
    assert liver["dice"] == pytest.approx(6 / 7)


def test_a_class_that_the_map_was_not_drawn_for_is_left_out(bench: Any) -> None:
    bench.add_case("belly", "anna", label(liver=slab(0, 4)), names=((5, "liver"),))
    bench.add_run("scratch-s0", {"belly": indices(liver=slab(0, 4), lung=slab(6, 8))})
    document = scores_of(bench)
    classes = document["arms"]["scratch"]["cases"]["belly"]
    assert (classes["liver"]["dice"], classes["lung"]["dice"], classes["lung"]["voxels_truth"]) == (1.0, None, None)
    assert document["left_out"]["values"][0]["reason"] == "the label map was not drawn for this class"


def test_several_values_make_one_class(bench: Any) -> None:
    bench.add_case("chest", "anna", label(lung_left=slab(0, 2), lung_right=slab(4, 8)))
    lung = indices(lung=slab(0, 2)) | indices(lung=slab(4, 8))
    bench.add_run("scratch-s0", {"chest": lung})
    assert scores_of(bench)["arms"]["scratch"]["cases"]["chest"]["lung"]["dice"] == 1.0


def test_slabs_are_cases_of_their_own_and_those_without_a_class_are_left_out(bench: Any) -> None:
    truth = (slice(0, 2), slice(2, 6), slice(0, 6))
    bench.add_case("chest", "anna", label(liver=truth))
    bench.add_run("scratch-s0", {"chest": indices(liver=truth, lung=slab(6, 8))})
    document = scores_of(bench, EvaluateConfig(cases="slabs", slab_mm=4.0))
    rows = document["arms"]["scratch"]["cases"]
    assert sorted(rows) == ["chest/left-0", "chest/left-1"]
    assert [rows[name]["liver"]["voxels_truth"] for name in sorted(rows)] == [32, 16]
    assert rows["chest/left-1"]["lung"]["dice"] == 0.0
    left_out = {item["case"]: item["reason"] for item in document["left_out"]["cases"]}
    assert left_out == dict.fromkeys(["chest/right-0", "chest/right-1"], "the slab has none of the classes")
    assert document["subjects"]["chest/left-0"] == "anna"


def test_within_one_person_the_slabs_are_the_units(bench: Any) -> None:
    bench.add_case("chest", "anna", label(liver=slab(0, 8)))
    for arm, lost in (("scratch", 2), ("psat", 0)):
        bench.add_run(f"{arm}-s0", {"chest": indices(liver=slab(0, 8 - lost))})
    document = scores_of(bench, EvaluateConfig(cases="slabs", slab_mm=2.0))
    dice = document["comparisons"][0]
    assert (dice["scope"], dice["n_subjects"], dice["n_seeds"], dice["n_cases"]) == ("within subject", 1, 1, 8)
    # Two of eight half slabs are lost: |difference| is 1 there and 0 elsewhere; two of the four pairs of signs reach 2.
    assert dice["mean_difference"] == pytest.approx(0.25)
    assert dice["p_value"] == 0.5


def test_several_people_are_the_units(bench: Any) -> None:
    for number in range(6):
        bench.add_case(f"case{number}", f"subject{number // 2}", label(liver=slab(0, 4)))
    for arm, lost in (("scratch", 2), ("psat", 1)):
        bench.add_run(f"{arm}-s0", {name: indices(liver=slab(0, 4 - lost)) for name in bench.cases})
    dice = scores_of(bench)["comparisons"][0]
    assert (dice["scope"], dice["n_subjects"], dice["n_cases"]) == ("subjects", 3, 6)
    assert dice["p_value"] == 0.25
    assert dice["ci95"] == pytest.approx([6 / 7 - 2 / 3] * 2)
    assert dice["ci_method"] == "all values equal"


def test_a_case_without_a_label_map_is_left_out_and_said(study: Any) -> None:
    study.add_case("unlabelled", "anna", None)
    study.add_run("other-s0", {"chest": indices()}, init="scratch", test_cases=["chest", "unlabelled"])
    document = scores_of(study)
    assert document["left_out"]["cases"] == [{"case": "unlabelled", "reason": "the case has no label map"}]
    assert list(document["arms"]["other"]["cases"]) == ["chest"]
