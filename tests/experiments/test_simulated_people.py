"""Simulated people: real maps, the same label under the same map, and nobody of them in training."""

from __future__ import annotations

import numpy as np
import pytest
from experiments.simulated_people.population import FOLDS, held_out, simulated_names
from experiments.simulated_people.simulate import Simulation, exponential, jacobian_determinant, simulate

SHAPE, SPACING = (28, 26, 24), 3.0


def ball() -> tuple[np.ndarray, np.ndarray]:
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    label = (((grid - np.array(SHAPE) / 2) ** 2).sum(-1) < 64).astype(np.uint16) * 7
    return np.where(label == 7, 300.0, -800.0).astype(np.float32), label


def test_integrating_a_linear_field_gives_its_exponential() -> None:
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij")).astype(float)
    centred = grid - np.array(SHAPE).reshape(3, 1, 1, 1) / 2
    moved = exponential(-0.2 * centred)  # towards the middle, so that nothing comes from outside
    assert np.allclose(moved, (np.exp(-0.2) - 1) * centred, atol=0.02)
    assert np.allclose(jacobian_determinant(moved), np.exp(-0.6), atol=0.01)


def test_a_simulated_person_is_another_one_and_its_label_follows() -> None:
    hu, label = ball()
    scan, moved, smallest = simulate(np.random.default_rng(0), hu, label, SPACING)
    assert smallest >= Simulation().smallest_jacobian
    assert (moved != label).mean() > 0.005
    assert set(np.unique(moved)) == {0, 7}
    assert scan[moved == 7].mean() > 100 > -300 > scan[moved == 0].mean()
    again, _, _ = simulate(np.random.default_rng(0), hu, label, SPACING)
    assert np.array_equal(scan, again)


def test_a_field_that_folds_is_refused() -> None:
    rough = Simulation(displacement_mm=60, smoothness_mm=4)
    with pytest.raises(ValueError, match="fold the volume"):
        simulate(np.random.default_rng(0), *ball(), SPACING, rough)


def test_all_simulated_people_are_held_out_of_both_folds() -> None:
    for fold, (person, train) in FOLDS.items():
        away = held_out(fold, 12)
        assert person in away
        assert not set(train) & set(away)
        assert all(name in away for other in FOLDS for name in simulated_names(other, 12))
