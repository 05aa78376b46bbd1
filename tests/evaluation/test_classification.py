"""Classification runs of a workspace: scores of each arm, and comparisons with the scratch twin by person."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from med3dinsight.cli import main
from med3dinsight.errors import ConfigError, LeakageError, WorkspaceError
from med3dinsight.evaluation.config import EvaluateConfig
from med3dinsight.evaluation.run import run
from med3dinsight.workspace.provenance import NotDone, look_only

METRICS = ["accuracy", "balanced_accuracy", "auroc"]
#: Of each of eight people: the true class, and what three arms and seeds say is the probability of AD.
TRUTH = {f"p{number}": "AD" if number < 3 else "NC" for number in range(8)}
SAID = {
    "scratch-s0": (0.4, 0.7, 0.3, 0.6, 0.2, 0.7, 0.1, 0.4),
    "scratch-s1": (0.6, 0.4, 0.5, 0.3, 0.6, 0.2, 0.6, 0.1),
    "psat-s0": (0.9, 0.8, 0.6, 0.3, 0.2, 0.1, 0.4, 0.7),
    "psat-s1": (0.7, 0.9, 0.8, 0.1, 0.3, 0.6, 0.2, 0.2),
}


def says(name: str) -> dict[str, tuple[str, float]]:
    return {case: (TRUTH[case], share) for case, share in zip(TRUTH, SAID[name], strict=True)}


def document_of(bench: Any, config: EvaluateConfig | None = None) -> Any:
    result = run(config or EvaluateConfig(), bench.workspace)
    document = json.loads(Path(result.scores).read_text())
    assert document["comparisons"] == result.comparisons
    return document


@pytest.fixture
def study(bench: Any) -> Any:
    """Eight people, two arms, two seeds."""
    for case in TRUTH:
        bench.add_case(case, case, None)
    for name in SAID:
        bench.add_classifier(name, says(name))
    bench.add_pretraining("psat", ["trained"], ["other voxels"])
    return bench


def test_scores_of_an_arm_are_those_of_scikit_learn_averaged_over_seeds(study: Any) -> None:
    document = document_of(study)
    assert (document["format_version"], document["task"]) == (1, "classification")
    assert list(document["metric_units"]) == METRICS
    assert list(document["arms"]) == ["scratch", "psat"]
    truth = np.array([label == "NC" for label in TRUTH.values()])
    for arm, row in document["arms"].items():
        shares = [1 - np.array(SAID[f"{arm}-s{seed}"]) for seed in (0, 1)]
        expected = {
            "accuracy": [np.mean((one > 0.5) == truth) for one in shares],
            "balanced_accuracy": [balanced_accuracy_score(truth, one > 0.5) for one in shares],
            "auroc": [roc_auc_score(truth, one) for one in shares],
        }
        for metric in METRICS:
            assert row["summary"]["by_seed"][metric] == pytest.approx(expected[metric])
            assert row["summary"][metric] == pytest.approx(np.mean(expected[metric]))
        assert (row["summary"]["n_cases"], row["summary"]["n_subjects"]) == (8, 8)
        assert (row["seed"], row["network"]) == ([0, 1], "conv_tiny")


def test_every_case_has_the_truth_and_the_probability_of_each_class(study: Any) -> None:
    case = document_of(study)["arms"]["psat"]["cases"]["p7"]
    assert {name: row["truth"] for name, row in case.items()} == {"AD": 0, "NC": 1}
    assert case["AD"]["by_seed"]["probability"] == [0.7, 0.2]
    assert case["AD"]["probability"] == pytest.approx(0.45)
    assert case["NC"]["probability"] == pytest.approx(0.55)


def test_every_metric_is_compared_with_scratch_by_person(study: Any) -> None:
    document = document_of(study)
    rows = {row["metric"]: row for row in document["comparisons"]}
    assert list(rows) == METRICS
    for metric, row in rows.items():
        summaries = [document["arms"][arm]["summary"][metric] for arm in ("psat", "scratch")]
        assert row["mean_difference"] == pytest.approx(summaries[0] - summaries[1])
        assert (row["arm"], row["against"], row["better"], row["test"]) == (
            "psat",
            "scratch",
            "higher",
            "swap permutation, exact",
        )
        assert row["ci95"][0] <= row["mean_difference"] <= row["ci95"][1]
        assert (row["scope"], row["n_subjects"], row["n_seeds"], row["n_cases"]) == ("subjects", 8, 2, 8)
        assert row["p_value"] <= row["p_adjusted"] <= 1
    assert rows["auroc"]["p_value"] < 0.1


def test_scans_of_a_person_are_one_unit_and_one_person_is_no_claim(bench: Any) -> None:
    for case in TRUTH:
        bench.add_case(case, "anna" if case < "p4" else "bert", None)
    for name in ("scratch-s0", "psat-s0"):
        bench.add_classifier(name, says(name))
    row = document_of(bench)["comparisons"][0]
    # Anna's four are 3 / 4 better, bert's as good: both may swap, or bert alone, and nothing is less.
    assert (row["scope"], row["n_subjects"], row["n_cases"], row["p_value"]) == ("subjects", 2, 8, 1.0)
    assert row["mean_difference"] == pytest.approx(3 / 8)
    single = {case: value for case, value in says("psat-s0").items() if case >= "p4"}
    bench.add_classifier("scratch-s0", {case: says("scratch-s0")[case] for case in single})
    bench.add_classifier("psat-s0", single)
    bench.workspace.evaluation.joinpath("scores.json").unlink()
    document = document_of(bench)
    rows = document["comparisons"]
    assert [row["metric"] for row in rows] == ["accuracy", "balanced_accuracy"]
    assert (rows[0]["scope"], rows[0]["n_subjects"], rows[0]["n_cases"]) == ("within subject", 1, 4)
    assert document["arms"]["psat"]["summary"]["auroc"] is None
    assert document["not_compared"][0]["metric"] == "auroc"


def test_without_a_twin_or_common_seeds_or_labels_the_reason_is_given(study: Any) -> None:
    study.add_classifier("vit-s0", says("psat-s0"), network="vit_tiny")
    study.add_classifier("late-s7", says("psat-s0"))
    study.add_classifier("other-s0", {**says("psat-s0"), "p0": ("NC", 0.3)})
    for name in ("vit", "late", "other"):
        study.add_pretraining(name, [], [])
    document = document_of(study)
    reasons = {row["arm"]: row["reason"] for row in document["not_compared"]}
    assert reasons == {
        "vit": "no scratch arm of this network and classes",
        "late": "the two arms have no seed in common",
        "other": "the two arms were given different labels for case p0",
    }
    assert {row["arm"] for row in document["comparisons"]} == {"psat"}


def test_two_seeds_of_an_arm_with_different_labels_are_refused(study: Any) -> None:
    study.add_classifier("psat-s2", {**says("psat-s0"), "p0": ("NC", 0.3)})
    with pytest.raises(ConfigError, match="arm psat were given different labels for case p0"):
        run(EvaluateConfig(), study.workspace)


def test_alone_it_is_scores_json_and_beside_segmentations_a_file_of_its_own(study: Any) -> None:
    folder = study.workspace.evaluation
    result = run(EvaluateConfig(), study.workspace)
    assert (result.scores, result.classification) == (str(folder / "scores.json"), None)
    assert (folder / "scores.json").read_bytes() == (folder / "classification.json").read_bytes()
    study.add_case("chest", "cleo", np.zeros((4, 4, 4), np.uint16))
    study.add_run("mask-s0", {"chest": np.zeros((4, 4, 4))}, init="scratch")
    result = run(EvaluateConfig(), study.workspace)
    assert result.scores == str(folder / "scores.json")
    assert json.loads((folder / "scores.json").read_text())["task"] == "segmentation"
    assert result.classification is not None
    assert result.classification["scores"] == str(folder / "classification.json")
    assert len(result.classification["comparisons"]) == 3
    single = run(EvaluateConfig(task="classification"), study.workspace)
    assert (single.scores, single.done_before) == (str(folder / "classification.json"), True)
    assert json.loads((folder / "scores.json").read_text())["task"] == "segmentation"


def test_the_command_says_where_both_are(study: Any, capsys: pytest.CaptureFixture[str]) -> None:
    study.add_case("chest", "cleo", np.zeros((4, 4, 4), np.uint16))
    study.add_run("mask-s0", {"chest": np.zeros((4, 4, 4))}, init="scratch")
    assert main(["evaluate", str(study.workspace.root)]) == 0
    said = capsys.readouterr().out
    assert "scores.json, 0 comparisons; of the classifications in" in said
    assert "classification.json, 3 comparisons" in said
    assert main(["evaluate", str(study.workspace.root), "--task", "classification", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"].endswith("classification.json")


def test_a_second_time_nothing_is_done_until_a_file_is_gone(study: Any) -> None:
    first = run(EvaluateConfig(), study.workspace)
    with look_only():
        again = run(EvaluateConfig(), study.workspace)
    assert (first.done_before, again.done_before, again.comparisons) == (False, True, first.comparisons)
    for name in ("scores.json", "classification.json"):
        (study.workspace.evaluation / name).unlink()
        with look_only(), pytest.raises(NotDone):
            run(EvaluateConfig(), study.workspace)
        assert not run(EvaluateConfig(), study.workspace).done_before
    study.add_classifier("psat-s2", says("psat-s0"))
    assert run(EvaluateConfig(), study.workspace).done_before is False


def test_people_seen_in_pretraining_are_refused_before_anything_is_written(study: Any) -> None:
    study.add_pretraining("psat", ["p3"], [])
    with pytest.raises(LeakageError, match="run psat-s0: test subject p3 was seen in pre-training"):
        run(EvaluateConfig(), study.workspace)
    assert not study.workspace.evaluation.exists()


def test_predictions_that_are_missing_or_of_other_cases_are_said(study: Any) -> None:
    path = study.workspace.finetuning / "psat-s1" / "predictions.csv"
    text = path.read_text()
    path.write_text("\n".join(text.splitlines()[:-1]) + "\n")
    with pytest.raises(WorkspaceError, match="not about the test cases and classes of run psat-s1"):
        run(EvaluateConfig(), study.workspace)
    path.write_text(text.replace(",AD,", ",MCI,"))
    with pytest.raises(WorkspaceError, match="not about the test cases and classes of run psat-s1"):
        run(EvaluateConfig(), study.workspace)
    path.unlink()
    with pytest.raises(WorkspaceError, match="no predictions at"):
        run(EvaluateConfig(), study.workspace)
