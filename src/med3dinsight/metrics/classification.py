"""Scores of predicted class probabilities: accuracy, balanced accuracy, AUROC."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from ..errors import InputError

#: The metrics of :func:`classification_scores`, and the direction in which each is better.
METRICS: dict[str, str] = {"accuracy": "higher", "balanced_accuracy": "higher", "auroc": "higher"}
UNITS: dict[str, str] = dict.fromkeys(METRICS, "fraction, 0 to 1")
#: What a table or page must say beside the numbers.
DEFINITIONS: dict[str, str] = {
    "accuracy": "share of cases whose most probable class is the true one; of equal probabilities the first counts",
    "balanced_accuracy": "mean over the classes of the share of their cases that are right; classes without a case are "
    "left out",
    "auroc": "probability that a case of the class gets a higher probability for it than a case of another, ties half; "
    "with more than two classes the mean of one against the rest; undefined where a class has no case",
}


class ClassificationScores(TypedDict):
    """Scores of a set of cases; None where a score is undefined."""

    accuracy: float | None
    balanced_accuracy: float | None
    auroc: float | None


def classification_scores(probabilities: ArrayLike, truth: ArrayLike) -> ClassificationScores:
    """Scores the probabilities of a set of cases.

    The definitions are those of scikit-learn (``accuracy_score``, ``balanced_accuracy_score``, ``roc_auc_score`` with
    ``multi_class="ovr"``, macro average); where scikit-learn raises or warns, the score is None.

    Args:
        probabilities: ``(cases, classes)``, or any scores whose order counts; at least two classes.
        truth: ``(cases,)`` class indices.

    Raises:
        InputError: The shapes do not fit, an index is no class, or a probability is no number.

    Example:
        >>> scores = classification_scores([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]], [0, 1, 1])
        >>> round(scores["accuracy"], 3), scores["balanced_accuracy"], scores["auroc"]
        (0.667, 0.75, 1.0)
    """
    scores, classes = np.asarray(probabilities, dtype=np.float64), np.asarray(truth)
    _check(scores, classes)
    if not len(classes):
        return ClassificationScores(accuracy=None, balanced_accuracy=None, auroc=None)
    right = scores.argmax(1) == classes
    shares = [float(right[classes == index].mean()) for index in np.unique(classes)]
    return ClassificationScores(
        accuracy=float(right.mean()), balanced_accuracy=float(np.mean(shares)), auroc=_auroc(scores, classes)
    )


def _check(scores: np.ndarray, classes: np.ndarray) -> None:
    if scores.ndim != 2 or scores.shape[1] < 2 or classes.shape != scores.shape[:1]:
        raise InputError(
            f"probabilities of shape {scores.shape} do not fit classes of shape {classes.shape}",
            "give (cases, classes) with at least two classes, and one class index a case",
        )
    if not np.isfinite(scores).all():
        raise InputError("a probability is no number", "did training diverge?")
    if len(classes) and not (np.issubdtype(classes.dtype, np.integer) and 0 <= classes.min() <= classes.max()):
        raise InputError("a true class is no whole number of at least 0", "give class indices")
    if len(classes) and classes.max() >= scores.shape[1]:
        raise InputError(f"there is no class {classes.max()} among {scores.shape[1]}", "give class indices")


def _auroc(scores: Float[np.ndarray, "n k"], classes: Int[np.ndarray, " n"]) -> float | None:
    count = scores.shape[1]
    if len(np.unique(classes)) < count:
        return None
    # With two classes the second against the first says it all; the other way round differs by rounding alone.
    areas = [_area(scores[:, index], classes == index) for index in (range(count) if count > 2 else [1])]
    return float(np.mean(areas))


def _area(scores: Float[np.ndarray, " n"], positive: np.ndarray) -> float:
    """The Mann-Whitney statistic as a share (Hanley & McNeil, Radiology 1982)."""
    hits, others = int(positive.sum()), int((~positive).sum())
    return float((rankdata(scores)[positive].sum() - hits * (hits + 1) / 2) / (hits * others))
