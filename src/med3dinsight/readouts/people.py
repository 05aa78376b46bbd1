"""Folds that keep a person's samples together, and the scores of what was predicted for the people left out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from ..errors import ConfigError, InputError


@dataclass(frozen=True)
class ClassificationScores:
    """Scores of samples whose people were left out.

    Attributes:
        accuracy: Share of samples whose highest score is their own class; ties are drawn.
        chance_accuracy: Of naming the most frequent class always.
        auroc: Area under the ROC curve of each class against the rest over all samples, mean over classes; .5 is
            chance. Scores of several fits are ranked together, as fits on few people demand.
        samples: How many samples.
        people: How many people.
    """

    accuracy: float
    chance_accuracy: float
    auroc: float
    samples: int
    people: int


def folds_by_person(
    people: np.ndarray, classes: Int[np.ndarray, " n"], folds: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields (training rows, test rows); nobody is on both sides, and everybody is tested once.

    Args:
        people: Whose the rows are.
        classes: Their classes; people are dealt so that folds have them in like shares.
        folds: How many parts; None leaves out one person at a time.

    Raises:
        ConfigError: There are fewer people than folds, or less than two folds.
        InputError: There is but one class, or one is missing where the others train.
    """
    known = np.unique(classes)
    if len(known) < 2:
        raise InputError(f"all {len(classes)} samples are of one class", "there is nothing to tell apart; add others")
    persons, owner = np.unique(people, return_inverse=True)
    parts = len(persons) if folds is None else folds
    if parts < 2:
        raise ConfigError(f"{parts} folds leave nobody to train or to test on", "use 2 folds, and 2 people, or more")
    if len(persons) < parts:
        raise ConfigError(
            f"{len(persons)} people cannot be dealt into {parts} folds",
            f"use {len(persons)} folds or fewer, or label more people",
        )
    counts = np.zeros((len(persons), len(known)), dtype=np.int64)
    np.add.at(counts, (owner, np.searchsorted(known, classes)), 1)
    # Like cards: people sorted by their main class, then one to each fold in turn.
    fold = np.empty(len(persons), dtype=np.int64)
    fold[np.argsort(counts.argmax(1), kind="stable")] = np.arange(len(persons)) % parts
    for part in range(parts):
        test = fold[owner] == part
        if len(missing := np.setdiff1d(known, classes[~test])):
            left_out = ", ".join(map(str, persons[fold == part]))
            raise InputError(
                f"class {missing[0]} is gone from training when {left_out} is left out",
                "a class needs people in several folds: label more of them, or merge classes",
            )
        yield np.flatnonzero(~test), np.flatnonzero(test)


def classification_scores(
    scores: Float[np.ndarray, "n k"], classes: Int[np.ndarray, " n"], people: np.ndarray
) -> ClassificationScores:
    """Scores predictions for left-out people.

    Args:
        scores: One column a class, in the order of ``np.unique(classes)``.
        classes: The true ones; at least two.
        people: Whose the samples are.
    """
    from sklearn.metrics import roc_auc_score

    known, own = np.unique(classes, return_inverse=True)
    best = scores == scores.max(1, keepdims=True)
    hits = best[np.arange(len(own)), own] / best.sum(1)
    areas = [roc_auc_score(classes == value, scores[:, column]) for column, value in enumerate(known)]
    return ClassificationScores(
        accuracy=float(hits.mean()),
        chance_accuracy=float(np.bincount(own).max() / len(own)),
        auroc=float(np.mean(areas)),
        samples=len(classes),
        people=len(np.unique(people)),
    )
