"""Which runs are scored, when, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from scored_boxes import indices, scores_of, slab

from med3dinsight.errors import ConfigError, InputError, LeakageError, WorkspaceError
from med3dinsight.evaluation import segmentation
from med3dinsight.evaluation.config import EvaluateConfig
from med3dinsight.evaluation.run import run
from med3dinsight.workspace.provenance import NotDone, look_only


def test_a_second_time_nothing_is_done(study: Any) -> None:
    first = run(EvaluateConfig(), study.workspace)
    before = Path(first.scores).stat().st_mtime_ns
    with look_only():
        again = run(EvaluateConfig(), study.workspace)
    assert (again.done_before, again.comparisons, first.done_before) == (True, first.comparisons, False)
    assert Path(first.scores).stat().st_mtime_ns == before
    Path(first.scores).unlink()
    with look_only(), pytest.raises(NotDone):
        run(EvaluateConfig(), study.workspace)
    assert not run(EvaluateConfig(), study.workspace).done_before


def test_a_new_run_is_scored_and_the_others_are_kept(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run(EvaluateConfig(), study.workspace)
    scored = []
    original = segmentation.segmentation_scores

    def counting(*args: Any, **kwargs: Any) -> Any:
        scored.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(segmentation, "segmentation_scores", counting)
    study.add_run("psat-s2", {"chest": indices(liver=slab(0, 4))})
    assert not run(EvaluateConfig(), study.workspace).done_before
    assert len(scored) == 1
    run(EvaluateConfig(tolerance_mm=1.0), study.workspace)
    assert len(scored) == 6


def test_an_interrupted_evaluation_goes_on_and_ends_with_the_same_scores(study: Any) -> None:
    def interrupt(done: int, total: int, note: str = "") -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(EvaluateConfig(), study.workspace, progress=interrupt)
    assert not (study.workspace.evaluation / "scores.json").exists()
    interrupted = scores_of(study)
    shutil.rmtree(study.workspace.evaluation)
    assert scores_of(study) == interrupted


def test_progress_counts_the_predictions(study: Any) -> None:
    told: list[tuple[int, int]] = []
    run(EvaluateConfig(), study.workspace, progress=lambda done, total, note="": told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_unfinished_runs_are_passed_over_unless_named(study: Any) -> None:
    study.add_run("psat-s7", {"chest": indices()}, finished=False)
    assert scores_of(study)["arms"]["psat"]["seed"] == [0, 1]
    with pytest.raises(WorkspaceError, match="not complete"):
        run(EvaluateConfig(runs=("psat-s7",)), study.workspace)


def test_only_named_runs_are_scored(study: Any) -> None:
    document = scores_of(study, EvaluateConfig(runs=("scratch-s0", "psat-s0")))
    assert [arm["runs"] for arm in document["arms"].values()] == [["scratch-s0"], ["psat-s0"]]


def test_an_unknown_run_is_named_with_the_nearest(study: Any) -> None:
    with pytest.raises(ConfigError, match="did you mean psat-s1"):
        run(EvaluateConfig(runs=("psat_s1",)), study.workspace)


def test_runs_of_the_other_task_are_not_scored_and_refused_by_name(study: Any) -> None:
    study.add_classifier("ad-s0", {"chest": ("AD", 0.9)})
    document = scores_of(study, EvaluateConfig(task="segmentation"))
    assert (document["task"], list(document["arms"])) == ("segmentation", ["scratch", "psat"])
    assert not (study.workspace.evaluation / "classification.json").exists()
    with pytest.raises(ConfigError, match="run ad-s0 is a model for classification"):
        run(EvaluateConfig(runs=("ad-s0",), task="segmentation"), study.workspace)
    with pytest.raises(ConfigError, match="run psat-s0 is a model for segmentation"):
        run(EvaluateConfig(runs=("psat-s0",), task="classification"), study.workspace)


def test_without_runs_it_says_what_to_run(bench: Any) -> None:
    with pytest.raises(WorkspaceError, match="finetune"):
        run(EvaluateConfig(), bench.workspace)


@pytest.mark.parametrize(
    ("facts", "message"),
    [({"seed": 0}, "both arm psat, seed 0"), ({"seed": 9, "network": "unetr"}, "different networks")],
)
def test_runs_that_are_no_seeds_of_one_arm_are_refused(study: Any, facts: dict[str, Any], message: str) -> None:
    study.add_run("again-s5", {"chest": indices()}, **{"arm": "psat", "init": "psat", **facts})
    with pytest.raises(ConfigError, match=message):
        run(EvaluateConfig(), study.workspace)


def test_a_missing_prediction_is_said_and_no_scores_are_left(study: Any) -> None:
    (study.workspace.finetuning / "psat-s1" / "predictions" / "chest.nii.gz").unlink()
    with pytest.raises(WorkspaceError, match="psat-s1 has no prediction of case chest"):
        run(EvaluateConfig(), study.workspace)
    assert not (study.workspace.evaluation / "scores.json").exists()


def test_a_case_that_is_gone_is_said(study: Any) -> None:
    study.add_run("psat-s2", {"chest": indices()}, test_cases=["chest", "gone"])
    with pytest.raises(WorkspaceError, match="gone"):
        run(EvaluateConfig(), study.workspace)


def test_a_prediction_on_another_grid_is_refused(study: Any) -> None:
    study.add_run("psat-s2", {"chest": indices()[:4]})
    with pytest.raises(InputError, match="voxels"):
        run(EvaluateConfig(), study.workspace)


def test_a_seen_test_subject_stops_it_before_anything_is_written(study: Any) -> None:
    study.add_pretraining("psat", ["trained", "anna"], [])
    with pytest.raises(LeakageError, match="anna"):
        run(EvaluateConfig(), study.workspace)
    assert not study.workspace.evaluation.exists()
