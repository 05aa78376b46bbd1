from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from med3dinsight.errors import ConfigError
from med3dinsight.readouts.neighbours import nearest_neighbours, votes


def samples(n: int = 60, apart: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    classes = np.arange(n) % 3
    features = rng.normal(size=(n, 8)) + apart * np.eye(8)[classes] * 3
    return features * rng.uniform(0.5, 4, (n, 1)), classes, np.arange(n) // 4


@pytest.mark.parametrize("temperature", [None, 0.07])
def test_votes_are_scikit_learns_with_cosine_distance(temperature: float | None) -> None:
    features, classes, _ = samples()
    weights = "uniform" if temperature is None else lambda distance: np.exp((1 - distance) / temperature)
    oracle = KNeighborsClassifier(7, weights=weights, metric="cosine").fit(features[:40], classes[:40])
    got = votes(features[:40], classes[:40], features[40:], np.arange(3), neighbours=7, temperature=temperature)
    assert np.allclose(got, oracle.predict_proba(features[40:]), atol=1e-9)
    assert got.std() > 0.01


def test_every_person_is_judged_by_the_others() -> None:
    features, classes, people = samples()
    oracle = KNeighborsClassifier(5, metric="cosine")
    shares = cross_val_predict(oracle, features, classes, groups=people, cv=LeaveOneGroupOut(), method="predict_proba")
    found = nearest_neighbours(features, classes, people, neighbours=5, temperature=None)
    best = shares == shares.max(1, keepdims=True)
    assert found.accuracy == pytest.approx((best[np.arange(60), classes] / best.sum(1)).mean())
    assert found.accuracy > 0.6
    assert found.auroc > 0.8


def test_a_persons_own_twin_samples_are_no_help() -> None:
    """Features that know the person and not the class are perfect within people and useless across them."""
    rng = np.random.default_rng(1)
    people = np.arange(80) // 4
    classes = people % 2
    features = np.repeat(rng.normal(size=(20, 16)), 4, axis=0) + 1e-3 * rng.normal(size=(80, 16))
    assert votes(features, classes, features, np.arange(2), neighbours=3)[np.arange(80), classes].min() > 0.99
    assert nearest_neighbours(features, classes, people, neighbours=3).accuracy < 0.75


def test_small_sets_and_high_contrasts_are_no_trouble() -> None:
    features, classes, _ = samples(12)
    assert np.allclose(votes(features, classes, features, np.arange(3), neighbours=20, temperature=1e-4).sum(1), 1)


def test_settings_that_let_nobody_vote_are_refused() -> None:
    features, classes, people = samples(12)
    for changes in ({"neighbours": 0}, {"temperature": 0.0}):
        with pytest.raises(ConfigError, match="nobody can vote"):
            nearest_neighbours(features, classes, people, **changes)
    with pytest.raises(ConfigError, match="3 people cannot be dealt into 5 folds"):
        nearest_neighbours(features, classes, people, folds=5)
