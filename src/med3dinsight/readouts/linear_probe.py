"""A linear probe of pooled features, with its strength chosen among the training people only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from .people import ClassificationScores, classification_scores, folds_by_person

#: Inverse L2 penalties that are tried.
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


def linear_probe(
    features: Float[np.ndarray, "n c"],
    classes: Int[np.ndarray, " n"],
    people: np.ndarray,
    *,
    folds: int | None = None,
    inner_folds: int = 3,
    strengths: Sequence[float] = STRENGTHS,
) -> tuple[ClassificationScores, list[float]]:
    """Classifies every person's samples by a logistic regression on the other people's.

    Features are standardised and classes weighted to equal shares, by the training people alone. The penalty is the
    one of the lowest log loss in inner folds of the training people, the strongest where several are equal; people
    who are tested have no say in it. Costs people × (strengths × inner folds + 1) small fits.

    Args:
        features: One row a sample, for instance the pooled tokens of a volume.
        classes: Classes of the samples.
        people: Whose they are.
        folds: Parts that people are dealt into; None leaves out one person at a time.
        inner_folds: Parts that the training people are dealt into to choose the penalty.
        strengths: Inverse penalties to choose from, as scikit-learn's C; one needs no inner folds.

    Returns:
        The scores, and the inverse penalty chosen in each fold.

    Raises:
        ConfigError: There are fewer people than folds, outside or inside.
        InputError: There is but one class, or one is missing where the others train, outside or inside.
    """
    scores = np.zeros((len(features), len(np.unique(classes))))
    chosen = []
    for train, test in folds_by_person(people, classes, folds):
        strength = strengths[0]
        if len(strengths) > 1:
            inside = (features[train], classes[train], people[train])
            losses = [_inner_loss(*inside, inner_folds, value) for value in sorted(strengths)]
            strength = sorted(strengths)[int(np.argmin(losses))]
        chosen.append(strength)
        scores[test] = _fit_and_score(features, classes, train, test, strength)
    return classification_scores(scores, classes, people), chosen


def _inner_loss(
    features: Float[np.ndarray, "n c"], classes: Int[np.ndarray, " n"], people: np.ndarray, folds: int, strength: float
) -> float:
    from sklearn.metrics import log_loss
    from sklearn.utils.class_weight import compute_sample_weight

    known = np.unique(classes)
    scores = np.zeros((len(features), len(known)))
    for train, test in folds_by_person(people, classes, folds):
        scores[test] = _fit_and_score(features, classes, train, test, strength)
    return float(log_loss(classes, scores, labels=known, sample_weight=compute_sample_weight("balanced", classes)))


def _fit_and_score(
    features: Float[np.ndarray, "n c"],
    classes: Int[np.ndarray, " n"],
    train: np.ndarray,
    test: np.ndarray,
    strength: float,
) -> Float[np.ndarray, "m k"]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = LogisticRegression(C=strength, class_weight="balanced", max_iter=5000)
    fitted = make_pipeline(StandardScaler(), classifier).fit(features[train], classes[train])
    return fitted.predict_proba(features[test])
