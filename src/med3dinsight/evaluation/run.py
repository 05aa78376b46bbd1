"""Evaluating: predictions of fine-tuned runs and the true label maps -> ``evaluation/scores.json``."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import WorkspaceError
from ..metrics.segmentation import DEFINITIONS, UNITS
from ..records import Case
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.files import read_json, write_json
from ..workspace.provenance import StageRecord, completed, fingerprint, write_record
from ..workspace.voxel_store import read_manifest
from .comparison import arm_row, compare_arms, group_arms
from .config import EvaluateConfig
from .finetuned import TASK, FinetunedRun, read_runs
from .leakage import refuse_leakage
from .segmentation import BOTH_EMPTY, NO_CLASS, NO_LABEL, NOT_ANNOTATED, ClassValues, read_truth, score_case

STAGE_VERSION = 2
FORMAT_VERSION = 1
#: ``{run: {case: {piece: {class: {metric: value or None}} or None}}}``
Scored = dict[str, dict[str, dict[str, ClassValues | None]]]


@dataclass(frozen=True)
class EvaluateResult:
    """What evaluating tells.

    Attributes:
        scores: Path of ``scores.json``.
        comparisons: Its comparisons.
        done_before: Whether it was complete already.
    """

    scores: str
    comparisons: list[dict[str, Any]]
    done_before: bool = False


def run(config: EvaluateConfig, workspace: Workspace, *, progress: Progress = silent) -> EvaluateResult:
    """Scores the test predictions of fine-tuned runs and compares the arms, or returns at once where that is done.

    Every score is computed on the grid of the source file, in its millimetres. Each scored case is kept in
    ``evaluation/segmentation/RUN/CASE.json``, so that a kill loses one case at most.

    Args:
        config: See :class:`EvaluateConfig`.
        workspace: With finished fine-tuning runs.
        progress: Told the scored predictions.

    Returns:
        The result; the scores are in ``evaluation/scores.json``.

    Raises:
        ConfigError: A named run does not exist, or two runs are the same seed of one arm.
        InputError: A label map or prediction cannot be read.
        LeakageError: A test subject was seen in training or pre-training.
        WorkspaceError: There is no finished run, or a prediction is missing.
    """
    runs = read_runs(workspace, config.runs)
    folder, path = workspace.evaluation / "segmentation", workspace.evaluation / "scores.json"
    identity = fingerprint("evaluate", STAGE_VERSION, config.identity(), {run.name: run.fingerprint for run in runs})
    if (record := completed(folder, identity if path.exists() else "its output is gone")) is not None:
        return EvaluateResult(**{**record.result, "scores": str(path), "done_before": True})
    started = time.time()
    cases = {case.id: case for case in read_manifest(workspace.prepared)}
    _require_cases(runs, cases)
    checked = {run.name: refuse_leakage(run, cases, workspace) for run in runs}
    with workspace.lock("evaluation-segmentation"):
        scored = _score(config, runs, cases, folder, progress)
        document = _document(config, runs, cases, scored, checked)
        write_json(path, document)
        result = EvaluateResult(str(path), document["comparisons"])
        write_record(
            folder,
            StageRecord("evaluate", identity, config.model_dump(mode="json"), asdict(result), time.time() - started),
        )
    return result


def _require_cases(runs: list[FinetunedRun], cases: Mapping[str, Case]) -> None:
    for run in runs:
        if missing := sorted(set(run.test_cases) - set(cases)):
            raise WorkspaceError(
                f"run {run.name} predicted case {missing[0]}, which is no longer prepared", "run that `finetune` again"
            )


def _score(
    config: EvaluateConfig,
    runs: list[FinetunedRun],
    cases: Mapping[str, Case],
    folder: Path,
    progress: Progress,
) -> Scored:
    """Scores case by case, so that a label map is read once for all runs with the same classes."""
    settings = config.identity()
    del settings["runs"], settings["seed"]
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
