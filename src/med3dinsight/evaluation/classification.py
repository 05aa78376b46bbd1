"""Predicted classes of the test cases: read, summed up by arm, and compared between arms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from ..errors import ConfigError, WorkspaceError
from ..metrics.classification import METRICS, classification_scores
from ..metrics.paired_scores import PairedPredictions, score_difference, score_interval, swap_test
from ..metrics.statistics import holm
from ..workspace.probability_table import read_probabilities
from .comparison import Arm, find_twins
from .finetuned import FinetunedRun


@dataclass(frozen=True)
class Prediction:
    """What a run says of a case, and what is true.

    Attributes:
        probabilities: One a class.
        truth: Index of the true class.
    """

    probabilities: tuple[float, ...]
    truth: int


def read_predictions(run: FinetunedRun) -> dict[str, Prediction]:
    """Reads what a run says of its test cases, by case.

    Raises:
        WorkspaceError: The file is missing or damaged, or is not about the run's test cases and classes.
    """
    names = run.class_names
    rows = read_probabilities(run.probabilities, names)
    wrong = [row.label for row in rows if row.label not in names]
    if wrong or sorted(row.case for row in rows) != sorted(run.test_cases):
        raise WorkspaceError(
            f"{run.probabilities} is not about the test cases and classes of run {run.name}",
            "run that `finetune` again",
        )
    return {row.case: Prediction(row.probabilities, names.index(row.label)) for row in rows}


def arm_row(arm: Arm[Prediction], subject_of: Mapping[str, str]) -> dict[str, Any]:
    """Returns an arm's entry: probabilities and truth of each case, means over seeds, and the scores of each seed.

    Raises:
        ConfigError: Two runs of the arm were given different labels for a case.
    """
    names = arm.runs[0].class_names
    by_seed: dict[str, list[float | None]] = {metric: [] for metric in METRICS}
    for seed in arm.seeds:
        found = list(arm.scores[seed].values())
        scores = classification_scores([one.probabilities for one in found], [one.truth for one in found])
        for metric in METRICS:
            by_seed[metric].append(scores[metric])  # type: ignore[literal-required]
    return {
        "init": ", ".join(sorted({run.init for run in arm.runs})),
        "network": arm.runs[0].network,
        "seed": arm.seeds,
        "runs": [run.name for run in arm.runs],
        "cases": {case: _case_row(arm, case, names) for case in arm.pieces},
        "summary": {
            **{metric: _mean(values) for metric, values in by_seed.items()},
            "by_seed": by_seed,
            "n_cases": len(arm.pieces),
            "n_subjects": len({subject_of[case] for case in arm.pieces}),
        },
    }


def _case_row(arm: Arm[Prediction], case: str, names: tuple[str, ...]) -> dict[str, Any]:
    found = [arm.scores[seed].get(case) for seed in arm.seeds]
    truth = {one.truth for one in found if one is not None}
    if len(truth) > 1:
        raise ConfigError(
            f"runs of arm {arm.name} were given different labels for case {case}",
            "fine-tune them with one table, or name the runs to evaluate",
        )
    rows = {}
    for index, name in enumerate(names):
        values = [None if one is None else one.probabilities[index] for one in found]
        rows[name] = {
            "probability": _mean(values),
            "truth": int(index in truth),
            "by_seed": {"probability": values},
        }
    return rows


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined else None


def compare_arms(
    arms: list[Arm[Prediction]], subject_of: Mapping[str, str], seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Compares every arm with each scratch arm of the same network and classes.

    Seeds are paired by number, and cases that both arms predict in all of them by name. A unit of the statistics is
    a subject; with one subject it is a case, and the scope says "within subject": no claim about people.

    Args:
        arms: All arms.
        subject_of: ``{case: subject}``.
        seed: Seed of the resampling.

    Returns:
        Comparisons as in scores.json, p-values adjusted by Holm over all of them; and the pairs that could not be
        compared, with the reason.
    """
    rows: list[dict[str, Any]] = []
    twins, refused = find_twins(arms)
    for arm, base in twins:
        names = {"arm": arm.name, "against": base.name}
        pairs = _pair(arm, base, subject_of)
        if isinstance(pairs, str):
            refused.append({**names, "reason": pairs})
            continue
        for metric in METRICS:
            value = score_difference(pairs.predictions, metric)
            if value is None:
                reason = "undefined: a class has no test case that both arms predict"
                refused.append({**names, "metric": metric, "reason": reason})
            else:
                rows.append({**names, **_row(pairs, metric, value, seed)})
    for row, adjusted in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_adjusted"] = adjusted
    return rows, refused


@dataclass(frozen=True)
class _Pairs:
    """Predictions of two arms side by side, and how many people, cases and left out ones they are."""

    predictions: PairedPredictions
    num_subjects: int
    num_cases: int
    num_left_out: int


def _pair(arm: Arm[Prediction], base: Arm[Prediction], subject_of: Mapping[str, str]) -> _Pairs | str:
    """Returns the common cases and seeds of two arms, or the reason why there is nothing to compare."""
    seeds = [number for number in arm.seeds if number in base.seeds]
    if not seeds:
        return "the two arms have no seed in common"
    sides = [[side.scores[number] for number in seeds] for side in (arm, base)]
    everywhere = [one for side in sides for one in side]
    cases = sorted(set(everywhere[0]).intersection(*everywhere[1:]))
    if not cases:
        return "no case is predicted in both arms and all common seeds"
    for case in cases:
        if len({one[case].truth for one in everywhere}) > 1:
            return f"the two arms were given different labels for case {case}"
    subjects = sorted({subject_of[case] for case in cases})
    units = [subjects.index(subject_of[case]) for case in cases] if len(subjects) > 1 else list(range(len(cases)))
    ours, theirs = (np.array([[one[case].probabilities for case in cases] for one in side]) for side in sides)
    truth = np.array([everywhere[0][case].truth for case in cases])
    known = set(arm.pieces) | set(base.pieces)
    pairs = PairedPredictions(truth, ours, theirs, np.array(units))
    return _Pairs(pairs, len(subjects), len(cases), len(known) - len(cases))


def _row(pairs: _Pairs, metric: str, value: float, seed: int) -> dict[str, Any]:
    interval = score_interval(pairs.predictions, metric, seed=seed)
    test = swap_test(pairs.predictions, metric, seed=seed)
    return {
        "metric": metric,
        "better": METRICS[metric],
        "mean_difference": value,
        "ci95": [interval.low, interval.high],
        "ci_method": interval.method,
        "p_value": test.p_value,
        "p_adjusted": None,
        "test": test.test,
        "scope": "subjects" if pairs.num_subjects > 1 else "within subject",
        "n_subjects": pairs.num_subjects,
        "n_seeds": pairs.predictions.num_seeds,
        "n_cases": pairs.num_cases,
        "n_cases_left_out": pairs.num_left_out,
    }
