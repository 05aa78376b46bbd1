from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut

from med3dinsight.errors import ConfigError, InputError
from med3dinsight.readouts.people import classification_scores, folds_by_person

PEOPLE = np.array(["dora", "anna", "anna", "carl", "bert", "bert", "bert", "emil", "fred"])
CLASSES = np.array([1, 0, 0, 1, 0, 1, 0, 1, 1])


def test_leaving_out_one_person_is_scikit_learns() -> None:
    expected = sorted((list(a), list(b)) for a, b in LeaveOneGroupOut().split(PEOPLE, CLASSES, PEOPLE))
    assert sorted((list(a), list(b)) for a, b in folds_by_person(PEOPLE, CLASSES)) == expected


@pytest.mark.parametrize("folds", [2, 3, 6])
def test_everybody_is_tested_once_and_never_trains_for_it(folds: int) -> None:
    rng = np.random.default_rng(0)
    people = rng.integers(0, 12, 60)
    classes = people % 2
    tested = []
    for train, test in folds_by_person(people, classes, folds):
        assert not set(people[train]) & set(people[test])
        assert sorted([*train, *test]) == list(range(60))
        assert abs(np.unique(people[test][classes[test] == 1]).size - 6 / folds) < 1, "classes are dealt evenly"
        tested += list(test)
    assert sorted(tested) == list(range(60))


def test_fewer_people_than_folds_are_refused_before_anything_is_fitted() -> None:
    with pytest.raises(ConfigError, match=r"6 people cannot be dealt into 7 folds \(use 6 folds or fewer"):
        list(folds_by_person(PEOPLE, CLASSES, 7))
    with pytest.raises(ConfigError, match="1 folds leave nobody"):
        list(folds_by_person(np.array(["anna"] * 4), np.array([0, 1, 0, 1])))


def test_classes_that_nobody_else_shows_are_refused() -> None:
    with pytest.raises(InputError, match="class 2 is gone from training when emil is left out"):
        list(folds_by_person(PEOPLE, np.where(PEOPLE == "emil", 2, CLASSES)))
    with pytest.raises(InputError, match="all 9 samples are of one class"):
        list(folds_by_person(PEOPLE, np.zeros(9, dtype=int)))


def test_scores_are_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    classes = rng.choice([3, 4, 7], 80)
    scores = rng.random((80, 3)) + 0.5 * (classes[:, None] == [3, 4, 7])
    shares = scores / scores.sum(1, keepdims=True)
    found = classification_scores(shares, classes, np.arange(80) // 2)
    assert found.auroc == pytest.approx(roc_auc_score(classes, shares, multi_class="ovr"))
    assert found.accuracy == pytest.approx(accuracy_score(classes, np.array([3, 4, 7])[shares.argmax(1)]))
    assert found.chance_accuracy == pytest.approx(np.unique(classes, return_counts=True)[1].max() / 80)
    assert (found.samples, found.people) == (80, 40)


def test_scores_that_tell_nothing_are_at_chance() -> None:
    found = classification_scores(np.ones((6, 2)), np.array([0, 0, 0, 0, 1, 1]), np.arange(6))
    assert (found.accuracy, found.auroc) == (0.5, 0.5)
