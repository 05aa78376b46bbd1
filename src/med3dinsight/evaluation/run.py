"""Evaluating: predictions of fine-tuned runs and the truth -> ``evaluation/scores.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..types import Progress, silent
from ..workspace import Workspace
from .classification_scores import score_classifications
from .config import EvaluateConfig
from .finetuned import read_runs
from .segmentation_scores import score_segmentations
from .task_scores import TaskScores


@dataclass(frozen=True)
class EvaluateResult:
    """What evaluating tells.

    Attributes:
        scores: Path of ``scores.json``; with classifications alone scored beside runs that segment, of
            ``classification.json``.
        comparisons: Its comparisons.
        classification: Path of ``classification.json`` and its comparisons, where runs of both tasks were scored.
        done_before: Whether it was complete already.
    """

    scores: str
    comparisons: list[dict[str, Any]]
    classification: dict[str, Any] | None = None
    done_before: bool = False


def run(config: EvaluateConfig, workspace: Workspace, *, progress: Progress = silent) -> EvaluateResult:
    """Scores the test predictions of fine-tuned runs and compares the arms, or returns at once where that is done.

    Segmentations are scored in ``evaluation/scores.json``, classifications in ``evaluation/classification.json``;
    in a workspace where nothing segments, ``scores.json`` is that same document.

    Args:
        config: See :class:`EvaluateConfig`.
        workspace: With finished fine-tuning runs.
        progress: Told the scored predictions, task by task.

    Returns:
        The result.

    Raises:
        ConfigError: A named run does not exist or is of another task, or two runs are the same seed of one arm.
        InputError: A label map or prediction cannot be read.
        LeakageError: A test subject was seen in training or pre-training.
        WorkspaceError: There is no finished run, or a prediction is missing.
    """
    runs = read_runs(workspace, config.runs, config.task)
    found: list[TaskScores] = []
    if segmenting := [run for run in runs if run.task == "segmentation"]:
        found.append(score_segmentations(config, segmenting, workspace, progress))
    if classifying := [run for run in runs if run.task == "classification"]:
        found.append(score_classifications(config, classifying, workspace, progress))
    first = found[0]
    beside = {"scores": found[1].scores, "comparisons": found[1].comparisons} if len(found) > 1 else None
    done_before = all(part.done_before for part in found)
    return EvaluateResult(first.scores, first.comparisons, beside, done_before)
