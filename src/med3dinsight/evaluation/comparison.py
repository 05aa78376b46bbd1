"""Arms side by side: means over seeds, and every arm against its scratch twin with an interval and a p-value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, Generic, TypeVar

import numpy as np

from ..metrics.segmentation import METRICS, PERFECT
from ..metrics.statistics import bootstrap_interval, holm, sign_flip_test
from .finetuned import FinetunedRun
from .segmentation import ClassValues

SCRATCH = "scratch"


Values = TypeVar("Values")


@dataclass
class Arm(Generic[Values]):
    """All runs of one arm: the same training with several seeds.

    Attributes:
        name: Name of the arm.
        runs: Its runs by ascending seed.
        scores: ``{seed: {piece: values}}``; of a segmentation ``{class: {metric: value or None}}``.
    """

    name: str
    runs: list[FinetunedRun] = field(default_factory=list)
    scores: dict[int, dict[str, Values]] = field(default_factory=dict)

    @property
    def seeds(self) -> list[int]:
        """Seeds, ascending."""
        return [run.seed for run in self.runs]

    @property
    def is_scratch(self) -> bool:
        """Whether no run of the arm was pre-trained."""
        return all(run.init == SCRATCH for run in self.runs)

    @property
    def pieces(self) -> list[str]:
        """Names of the pieces that any seed was scored on, in order."""
        return sorted({piece for by_piece in self.scores.values() for piece in by_piece})


def group_arms(runs: Iterable[FinetunedRun], scores: Mapping[str, dict[str, Values]]) -> list[Arm[Values]]:
    """Groups runs into arms, scratch arms first.

    Args:
        runs: The runs.
        scores: ``{run: {piece: values}}``.
    """
    arms: dict[str, Arm[Values]] = {}
    for run in sorted(runs, key=lambda run: (run.arm, run.seed)):
        arm = arms.setdefault(run.arm, Arm[Values](run.arm))
        arm.runs.append(run)
        arm.scores[run.seed] = scores[run.name]
    return sorted(arms.values(), key=lambda arm: (not arm.is_scratch, arm.name))


def arm_row(arm: Arm[ClassValues]) -> dict[str, Any]:
    """Returns an arm's entry in scores.json: means over the seeds where a value is defined, and the seeds' values."""
    cases = {piece: {name: _class_row(arm, piece, name) for name in arm.runs[0].class_names} for piece in arm.pieces}
    return {
        "init": ", ".join(sorted({run.init for run in arm.runs})),
        "network": arm.runs[0].network,
        "seed": arm.seeds,
        "runs": [run.name for run in arm.runs],
        "cases": cases,
    }


def _class_row(arm: Arm[ClassValues], piece: str, name: str) -> dict[str, Any]:
    rows = [arm.scores[seed].get(piece, {}).get(name, {}) for seed in arm.seeds]
    by_seed = {metric: [row.get(metric) for row in rows] for metric in METRICS}
    means = {metric: _mean(values) for metric, values in by_seed.items()}
    voxels = next((row["voxels_truth"] for row in rows if row), None)
    return {**means, "voxels_truth": voxels, "by_seed": by_seed}


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined else None


def compare_arms(
    arms: list[Arm[ClassValues]], subject_of: Mapping[str, str], seed: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Compares every arm with each scratch arm of the same network and classes.

    A case's value is the mean over the classes that are defined in it. Cases are paired by name and seeds by
    number, so that twins that drew the same crops are subtracted. A unit of the statistics is a subject (its
    cases averaged); with one subject it is a case, and the scope says "within subject": no claim about people.
    A case that is undefined in any of the common seeds of either arm is left out of that comparison.

    Args:
        arms: All arms.
        subject_of: ``{piece: subject}``.
        seed: Seed of the resampling.

    Returns:
        Comparisons as in scores.json, p-values adjusted by Holm over all of them; and the pairs that could not
        be compared, with the reason.
    """
    rows: list[dict[str, Any]] = []
    twins, refused = find_twins(arms)
    for arm, base in twins:
        for metric in METRICS:
            row = _compare(arm, base, metric, subject_of, seed)
            (refused if "reason" in row else rows).append(row)
    for row, adjusted in zip(rows, holm([row["p_value"] for row in rows]), strict=True):
        row["p_adjusted"] = adjusted
    return rows, refused


def find_twins(arms: list[Arm[Values]]) -> tuple[list[tuple[Arm[Values], Arm[Values]]], list[dict[str, Any]]]:
    """Pairs every arm with each scratch arm of the same network and classes.

    Returns:
        ``[(arm, scratch arm)]``, and the arms that have no twin, with the reason.
    """
    pairs: list[tuple[Arm[Values], Arm[Values]]] = []
    alone: list[dict[str, Any]] = []
    for arm in arms:
        if arm.is_scratch:
            continue
        twins = [base for base in arms if base.is_scratch and _kind(base) == _kind(arm)]
        pairs += [(arm, base) for base in twins]
        if not twins:
            alone.append({"arm": arm.name, "against": None, "reason": "no scratch arm of this network and classes"})
    return pairs, alone


def _kind(arm: Arm[Any]) -> tuple[str, tuple[str, ...]]:
    return arm.runs[0].network, arm.runs[0].class_names


def _compare(
    arm: Arm[ClassValues], base: Arm[ClassValues], metric: str, subject_of: Mapping[str, str], seed: int
) -> dict[str, Any]:
    row: dict[str, Any] = {"arm": arm.name, "against": base.name, "metric": metric}
    seeds = [number for number in arm.seeds if number in base.seeds]
    if not seeds:
        return {**row, "reason": "the two arms have no seed in common"}
    pieces = [piece for piece in arm.pieces if piece in base.pieces]
    differences = {
        piece: values for piece in pieces if (values := _differences(arm, base, metric, piece, seeds)) is not None
    }
    if not differences:
        return {**row, "reason": "no case is defined in both arms and all common seeds"}
    table, num_subjects = _table(differences, subject_of)
    interval, test = bootstrap_interval(table, seed=seed), sign_flip_test(table, seed=seed)
    return {
        **row,
        "better": METRICS[metric],
        "mean_difference": float(table.mean()),
        "ci95": [interval.low, interval.high],
        "ci_method": interval.method,
        "p_value": test.p_value,
        "p_adjusted": None,
        "test": test.test,
        "scope": "subjects" if num_subjects > 1 else "within subject",
        "n_subjects": num_subjects,
        "n_seeds": len(seeds),
        "n_cases": len(differences),
        "n_cases_left_out": len(pieces) - len(differences),
    }


def _differences(
    arm: Arm[ClassValues], base: Arm[ClassValues], metric: str, piece: str, seeds: list[int]
) -> list[float] | None:
    """Returns ours minus theirs at each seed, averaged over the same classes on both sides; None where undefined.

    A class that the truth lacks is undefined for an arm that rightly predicts none of it. Where the other arm does
    predict some, the first one counts as perfect: left out it would win nothing by being right.
    """
    values = []
    for number in seeds:
        ours, theirs = (side.scores[number].get(piece, {}) for side in (arm, base))
        pairs = [
            (PERFECT[metric] if mine is None else mine, PERFECT[metric] if other is None else other)
            for name in sorted(ours.keys() & theirs.keys())
            for mine, other in [(ours[name][metric], theirs[name][metric])]
            if mine is not None or other is not None
        ]
        if not pairs:
            return None
        values.append(sum(mine - other for mine, other in pairs) / len(pairs))
    return values


def _table(differences: Mapping[str, list[float]], subject_of: Mapping[str, str]) -> tuple[np.ndarray, int]:
    """Returns the differences ``(units, seeds)`` and the number of subjects."""
    by_subject: dict[str, list[list[float]]] = defaultdict(list)
    for piece in sorted(differences):
        by_subject[subject_of[piece]].append(differences[piece])
    if len(by_subject) == 1:
        return np.array(next(iter(by_subject.values()))), 1
    return np.array([np.mean(by_subject[subject], axis=0) for subject in sorted(by_subject)]), len(by_subject)
