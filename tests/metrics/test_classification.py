from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from med3dinsight.errors import InputError
from med3dinsight.metrics.classification import DEFINITIONS, METRICS, UNITS, classification_scores


def draw(seed: int, cases: int, classes: int, digits: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, with ties where the digits are few, and a truth in which every class has a case."""
    rng = np.random.default_rng(seed)
    raw = np.round(rng.dirichlet(np.ones(classes), cases), digits) + 1e-3
    truth = np.concatenate([np.arange(classes), rng.integers(0, classes, cases - classes)])
    return raw / raw.sum(1, keepdims=True), rng.permutation(truth)


@pytest.mark.parametrize("digits", [1, 8])
@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_scores_are_those_of_scikit_learn(seed: int, classes: int, digits: int) -> None:
    probabilities, truth = draw(seed, 37, classes, digits)
    found = classification_scores(probabilities, truth)
    predicted = probabilities.argmax(1)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(truth, predicted))
    given_scores = probabilities[:, 1] if classes == 2 else probabilities
    assert found["auroc"] == pytest.approx(roc_auc_score(truth, given_scores, multi_class="ovr", average="macro"))


def test_a_class_without_a_case_leaves_the_auroc_undefined_and_the_others_defined() -> None:
    found = classification_scores([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], [0, 1])
    assert found == {"accuracy": 1.0, "balanced_accuracy": 1.0, "auroc": None}
    assert classification_scores([[0.7, 0.3]], [1]) == {"accuracy": 0.0, "balanced_accuracy": 0.0, "auroc": None}
    assert classification_scores(np.zeros((0, 2)), []) == dict.fromkeys(METRICS)


def test_probabilities_that_are_all_equal_say_nothing() -> None:
    found = classification_scores(np.full((6, 2), 0.5), [0, 0, 0, 0, 1, 1])
    assert found == {"accuracy": pytest.approx(4 / 6), "balanced_accuracy": 0.5, "auroc": 0.5}


@given(st.integers(0, 10_000), st.integers(2, 4))
def test_the_auroc_depends_on_the_order_alone_and_the_others_on_the_best(seed: int, classes: int) -> None:
    probabilities, truth = draw(seed, 20, classes)
    found, bent = (classification_scores(values, truth) for values in (probabilities, probabilities**3))
    assert bent["auroc"] == pytest.approx(found["auroc"])
    assert bent["accuracy"] == found["accuracy"]


@pytest.mark.parametrize(
    ("probabilities", "truth", "message"),
    [
        ([0.5, 0.5], [0, 1], "do not fit"),
        ([[1.0], [1.0]], [0, 0], "at least two classes"),
        ([[0.5, 0.5]], [0, 1], "do not fit"),
        ([[0.5, math.nan]], [0], "no number"),
        ([[0.5, 0.5]], [2], "no class 2 among 2"),
        ([[0.5, 0.5]], [-1], "no whole number"),
        ([[0.5, 0.5]], [0.5], "no whole number"),
    ],
)
def test_what_cannot_be_scored_is_refused(probabilities: object, truth: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        classification_scores(probabilities, truth)  # type: ignore[arg-type]


def test_every_metric_has_a_unit_and_a_definition() -> None:
    assert set(METRICS) == set(UNITS) == set(DEFINITIONS)
