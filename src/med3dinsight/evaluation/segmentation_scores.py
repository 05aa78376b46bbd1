"""Segmentation: predictions and true label maps of the test cases -> ``evaluation/scores.json``."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..metrics.segmentation import DEFINITIONS, UNITS
from ..records import Case
from ..types import Progress
from ..workspace import Workspace
from ..workspace.files import read_json, write_json
from ..workspace.provenance import StageRecord, completed, fingerprint, write_record
from ..workspace.voxel_store import read_manifest
from .comparison import arm_row, compare_arms, group_arms
from .config import EvaluateConfig
from .finetuned import FinetunedRun, require_cases
from .leakage import refuse_leakage
from .segmentation import BOTH_EMPTY, NO_CLASS, NO_LABEL, NOT_ANNOTATED, ClassValues, read_truth, score_case
from .task_scores import FORMAT_VERSION, TaskScores

STAGE_VERSION = 2
TASK = "segmentation"
#: ``{run: {case: {piece: {class: {metric: value or None}} or None}}}``
Scored = dict[str, dict[str, dict[str, ClassValues | None]]]


def score_segmentations(
    config: EvaluateConfig, runs: list[FinetunedRun], workspace: Workspace, progress: Progress
) -> TaskScores:
    """Scores the test predictions of segmentation runs and compares the arms, or returns at once where that is done.

    Every score is computed on the grid of the source file, in its millimetres. Each scored case is kept in
    ``evaluation/segmentation/RUN/CASE.json``, so that a kill loses one case at most.

    Args:
        config: Tolerance, what a case is, and the seed of the statistics.
        runs: The runs.
        workspace: Where they are; receives ``evaluation/scores.json``.
        progress: Told the scored predictions.

    Raises:
        InputError: A label map or prediction cannot be read.
        LeakageError: A test subject was seen in training or pre-training.
        WorkspaceError: A prediction is missing.
    """
    folder, path = workspace.evaluation / TASK, workspace.evaluation / "scores.json"
    settings = config.identity()
    del settings["task"]
    identity = fingerprint("evaluate", STAGE_VERSION, settings, {run.name: run.fingerprint for run in runs})
    if (record := completed(folder, identity if path.exists() else "its output is gone")) is not None:
        return TaskScores(str(path), record.result["comparisons"], done_before=True)
    started = time.time()
    cases = {case.id: case for case in read_manifest(workspace.prepared)}
    require_cases(runs, cases)
    checked = {run.name: refuse_leakage(run, cases, workspace) for run in runs}
    with workspace.lock("evaluation-segmentation"):
        scored = _score(config, runs, cases, folder, progress)
        document = _document(config, runs, cases, scored, checked)
        write_json(path, document)
        result = {"scores": str(path), "comparisons": document["comparisons"]}
        shown, seconds = config.model_dump(mode="json"), time.time() - started
        write_record(folder, StageRecord("evaluate", identity, shown, result, seconds))
    return TaskScores(str(path), document["comparisons"])


def _score(
    config: EvaluateConfig,
    runs: list[FinetunedRun],
    cases: Mapping[str, Case],
    folder: Path,
    progress: Progress,
) -> Scored:
    """Scores case by case, so that a label map is read once for all runs with the same classes."""
    settings = config.identity()
    del settings["runs"], settings["seed"], settings["task"]
    scored: Scored = defaultdict(dict)
    work = [(run, cases[name]) for run in runs for name in run.test_cases if cases[name].has_label]
    work.sort(key=lambda item: (item[1].id, str(item[0].classes), item[0].name))
    truth, truth_of = None, None
    for done, (run, case) in enumerate(work, start=1):
        item = folder / run.name / f"{case.id}.json"
        identity = fingerprint("evaluate case", STAGE_VERSION, settings, run.fingerprint, case.id)
        kept = read_json(item) if item.exists() else {}
        if kept.get("fingerprint") != identity:
            if truth is None or truth_of != (case.id, run.classes):
                truth, truth_of = read_truth(case, run.classes), (case.id, run.classes)
            kept = {"fingerprint": identity, "pieces": score_case(run, case, truth, config)}
            write_json(item, kept)
        scored[run.name][case.id] = kept["pieces"]
        progress(done, len(work), f"{run.name} {case.id}")
    return scored


def _document(
    config: EvaluateConfig,
    runs: list[FinetunedRun],
    cases: Mapping[str, Case],
    scored: Scored,
    checked: Mapping[str, str],
) -> dict[str, Any]:
    scores = {
        run.name: {
            piece: values
            for pieces in scored[run.name].values()
            for piece, values in pieces.items()
            if values is not None
        }
        for run in runs
    }
    subject_of = {
        piece: cases[name].subject for pieces_of in scored.values() for name in pieces_of for piece in pieces_of[name]
    }
    arms = group_arms(runs, scores)
    comparisons, not_compared = compare_arms(arms, subject_of, config.seed)
    return {
        "format_version": FORMAT_VERSION,
        "task": TASK,
        "metric_units": UNITS,
        "definitions": {**DEFINITIONS, "nsd": f"{DEFINITIONS['nsd']}; tolerance {config.tolerance_mm:g} mm"},
        "settings": config.identity(),
        "subjects": dict(sorted(subject_of.items())),
        "arms": {arm.name: arm_row(arm) for arm in arms},
        "leakage_checks": dict(checked),
        "comparisons": comparisons,
        "not_compared": not_compared,
        "left_out": _left_out(runs, cases, scored),
    }


def _left_out(runs: list[FinetunedRun], cases: Mapping[str, Case], scored: Scored) -> dict[str, Any]:
    """Lists what has no score: whole cases, slabs, and how many values of which run, class and reason."""
    without_label = sorted({name for run in runs for name in run.test_cases if not cases[name].has_label})
    slabs: set[str] = set()
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    for run in runs:
        for pieces in scored[run.name].values():
            slabs |= {piece for piece, values in pieces.items() if values is None}
            for values in pieces.values():
                for name, row in (values or {}).items():
                    if row["dice"] is None:
                        reason = NOT_ANNOTATED if row["voxels_truth"] is None else BOTH_EMPTY
                        counts[run.name, name, reason] += 1
    return {
        "cases": [{"case": name, "reason": NO_LABEL} for name in without_label]
        + [{"case": name, "reason": NO_CLASS} for name in sorted(slabs)],
        "values": [
            {"run": run, "class": name, "count": count, "reason": reason}
            for (run, name, reason), count in sorted(counts.items())
        ],
    }
