"""k nearest neighbours: a class by the vote of the most similar features, nothing trained."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from ..errors import ConfigError
from .people import ClassificationScores, classification_scores, folds_by_person


def votes(
    train: Float[np.ndarray, "n c"],
    train_classes: Int[np.ndarray, " n"],
    test: Float[np.ndarray, "m c"],
    classes: Int[np.ndarray, " k"],
    *,
    neighbours: int = 20,
    temperature: float | None = 0.07,
) -> Float[np.ndarray, "m k"]:
    r"""Each class's share of the votes of the most cosine-similar training features.

    A neighbour's vote weighs :math:`\exp(\cos / \tau)` (Wu et al., CVPR 2018; DINO, Caron et al., ICCV 2021, with
    k = 20 and :math:`\tau = 0.07`), or 1 with ``temperature=None``. Of equally similar features at the rim of the
    neighbourhood the earlier row votes.

    Args:
        train: Training features.
        train_classes: Their classes.
        test: Features to classify.
        classes: All classes, in the order of the columns.
        neighbours: How many vote; all where there are fewer.
        temperature: Of the weights; None counts heads.

    Raises:
        ConfigError: ``neighbours`` is below 1 or ``temperature`` not above 0.
    """
    if neighbours < 1 or (temperature is not None and temperature <= 0):
        raise ConfigError(
            f"neighbours = {neighbours}, temperature = {temperature}: nobody can vote",
            "use 1 neighbour or more, and a temperature above 0 or None",
        )
    similarity = _normalised(test) @ _normalised(train).T
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :neighbours]
    near = np.take_along_axis(similarity, nearest, axis=1)
    # The nearest one weighs 1, whatever the temperature: exp(cos / tau) alone may overflow.
    weights = np.ones_like(near) if temperature is None else np.exp((near - near[:, :1]) / temperature)
    shares = weights[:, :, None] * (train_classes[nearest][:, :, None] == classes)
    return shares.sum(1) / weights.sum(1, keepdims=True)


def nearest_neighbours(
    features: Float[np.ndarray, "n c"],
    classes: Int[np.ndarray, " n"],
    people: np.ndarray,
    *,
    folds: int | None = None,
    neighbours: int = 20,
    temperature: float | None = 0.07,
) -> ClassificationScores:
    """Classifies every person's samples by the neighbours among the other people's.

    Args:
        features: One row a sample, for instance the pooled tokens of a volume.
        classes: Classes of the samples.
        people: Whose they are.
        folds: Parts that people are dealt into; None leaves out one person at a time.
        neighbours: See :func:`votes`.
        temperature: See :func:`votes`.

    Raises:
        ConfigError: There are fewer people than folds, or a setting is out of range.
        InputError: There is but one class, or one is missing where the others train.
    """
    known = np.unique(classes)
    scores = np.zeros((len(features), len(known)))
    for train, test in folds_by_person(people, classes, folds):
        scores[test] = votes(
            features[train], classes[train], features[test], known, neighbours=neighbours, temperature=temperature
        )
    return classification_scores(scores, classes, people)


def _normalised(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)
