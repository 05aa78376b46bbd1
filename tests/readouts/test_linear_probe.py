from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from med3dinsight.errors import ConfigError
from med3dinsight.readouts.linear_probe import linear_probe
from med3dinsight.readouts.people import classification_scores, folds_by_person


def samples(apart: float = 1.0, width: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    people = np.arange(36) // 3
    classes = people % 2
    return rng.normal(size=(36, width)) * 5 + 3 + apart * 5 * classes[:, None], classes, people


def oracle(strength: float) -> object:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, class_weight="balanced", max_iter=5000))


def test_with_one_strength_it_is_scikit_learns_left_out_prediction() -> None:
    features, classes, people = samples(0.3)
    shares = cross_val_predict(
        oracle(0.1), features, classes, groups=people, cv=LeaveOneGroupOut(), method="predict_proba"
    )
    found, chosen = linear_probe(features, classes, people, strengths=[0.1])
    assert found == classification_scores(shares, classes, people)
    assert chosen == [0.1] * 12
    assert 0.55 < found.auroc < 1


def test_the_strength_is_scikit_learns_choice_on_the_training_people_alone() -> None:
    features, classes, people = samples(0.2)
    strengths = [1e-3, 1e-1, 10.0]
    _, chosen = linear_probe(features, classes, people, folds=4, strengths=strengths)
    for (train, _), strength in zip(folds_by_person(people, classes, 4), chosen, strict=True):
        inner = np.empty(len(train), dtype=int)
        for number, (_, held) in enumerate(folds_by_person(people[train], classes[train], 3)):
            inner[held] = number
        search = GridSearchCV(
            oracle(1.0), {"logisticregression__C": strengths}, scoring="neg_log_loss", cv=PredefinedSplit(inner)
        )
        search.fit(features[train], classes[train])
        assert strength == search.best_params_["logisticregression__C"]


def test_features_that_tell_the_class_are_read_and_noise_is_not() -> None:
    found, chosen = linear_probe(*samples(2.0))
    assert found.accuracy > 0.9
    assert found.auroc > 0.95
    noise, regular = linear_probe(*samples(0.0))
    assert noise.auroc < 0.7
    assert np.mean(np.log(regular)) < np.mean(np.log(chosen)), "noise is shrunk the more"


def test_too_few_people_are_refused_outside_and_inside() -> None:
    features, classes, people = samples()
    with pytest.raises(ConfigError, match="12 people cannot be dealt into 13 folds"):
        linear_probe(features, classes, people, folds=13)
    with pytest.raises(ConfigError, match="11 people cannot be dealt into 12 folds"):
        linear_probe(features, classes, people, inner_folds=12)
