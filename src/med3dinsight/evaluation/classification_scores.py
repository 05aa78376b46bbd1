"""Classification: class probabilities of the test cases -> ``evaluation/classification.json``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..metrics.classification import DEFINITIONS, UNITS
from ..records import Case
from ..types import Progress
from ..workspace import Workspace
from ..workspace.files import write_bytes, write_json
from ..workspace.provenance import StageRecord, completed, fingerprint, write_record
from ..workspace.voxel_store import read_manifest
from .classification import arm_row, compare_arms, read_predictions
from .comparison import group_arms
from .config import EvaluateConfig
from .finetuned import FinetunedRun, has_segmentation, require_cases
from .leakage import refuse_leakage
from .task_scores import FORMAT_VERSION, TaskScores

STAGE_VERSION = 1
TASK = "classification"


def score_classifications(
    config: EvaluateConfig, runs: list[FinetunedRun], workspace: Workspace, progress: Progress
) -> TaskScores:
    """Scores the test predictions of classification runs and compares the arms, or returns at once where that is done.

    Args:
        config: With the seed of the statistics.
        runs: The runs.
        workspace: Where they are; receives ``evaluation/classification.json``, and the same as
            ``evaluation/scores.json`` where no run segments.
        progress: Told the runs.

    Raises:
        ConfigError: Two runs of one arm were given different labels for a case.
        LeakageError: A test subject was seen in training or pre-training.
        WorkspaceError: Predictions are missing, or a case is no longer prepared.
    """
    folder, path = workspace.evaluation / TASK, workspace.evaluation / "classification.json"
    alone = None if has_segmentation(workspace) else workspace.evaluation / "scores.json"
    identity = fingerprint(
        "evaluate classification", STAGE_VERSION, config.seed, {run.name: run.fingerprint for run in runs}
    )
    shown = path if alone is None else alone
    if (record := completed(folder, identity if _is_whole(path, alone) else "its output is gone")) is not None:
        return TaskScores(str(shown), record.result["comparisons"], done_before=True)
    started = time.time()
    cases = {case.id: case for case in read_manifest(workspace.prepared)}
    require_cases(runs, cases)
    checked = {run.name: refuse_leakage(run, cases, workspace) for run in runs}
    with workspace.lock("evaluation-classification"):
        document = _document(config, runs, cases, checked, progress)
        write_json(path, document)
        if alone is not None:
            write_bytes(alone, path.read_bytes())
        result = {"scores": str(shown), "comparisons": document["comparisons"]}
        settings, seconds = config.model_dump(mode="json"), time.time() - started
        write_record(folder, StageRecord("evaluate", identity, settings, result, seconds))
    return TaskScores(str(shown), document["comparisons"])


def _is_whole(path: Path, alone: Path | None) -> bool:
    if not path.exists():
        return False
    return alone is None or (alone.exists() and alone.read_bytes() == path.read_bytes())


def _document(
    config: EvaluateConfig,
    runs: list[FinetunedRun],
    cases: Mapping[str, Case],
    checked: Mapping[str, str],
    progress: Progress,
) -> dict[str, Any]:
    predictions = {}
    for done, run in enumerate(runs, start=1):
        predictions[run.name] = read_predictions(run)
        progress(done, len(runs), run.name)
    subject_of = {name: cases[name].subject for run in runs for name in run.test_cases}
    arms = group_arms(runs, predictions)
    rows = {arm.name: arm_row(arm, subject_of) for arm in arms}
    comparisons, not_compared = compare_arms(arms, subject_of, config.seed)
    return {
        "format_version": FORMAT_VERSION,
        "task": TASK,
        "metric_units": UNITS,
        "definitions": DEFINITIONS,
        "settings": config.identity(),
        "subjects": dict(sorted(subject_of.items())),
        "arms": rows,
        "leakage_checks": dict(checked),
        "comparisons": comparisons,
        "not_compared": not_compared,
        "left_out": {"cases": [], "values": []},
    }
