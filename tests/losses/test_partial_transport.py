from __future__ import annotations

import math
from typing import Any

import numpy as np
import ot
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from med3dinsight.errors import ConfigError
from med3dinsight.losses import log_partial_transport_plan, partial_transport_plan


def costs_of(n: int, m: int, *, noise: float = 0.6, outliers: int = 1, seed: int = 0) -> Tensor:
    """Costs as in training: matching pairs with noise where n = m, the first answers turned away, the largest 1."""
    generator = torch.Generator().manual_seed(seed)
    answers, targets = (torch.randn(k, 16, generator=generator, dtype=torch.float64) for k in (n, m))
    if n == m:
        targets = answers + noise * targets
    answers[:outliers] *= -1
    costs = torch.cdist(F.normalize(answers, dim=1), F.normalize(targets, dim=1))
    return costs / costs.max()


def by_pot(costs: Tensor, regularization: float, mass: float, iterations: int = 20000, **stop: Any) -> Tensor:
    n, m = costs.shape
    plan = ot.partial.entropic_partial_wasserstein(
        np.full(n, 1 / n), np.full(m, 1 / m), costs.numpy(), regularization, mass, numItermax=iterations, **stop
    )
    return torch.from_numpy(plan)


def furthest(plan: Tensor, expected: Tensor) -> float:
    """Largest difference of an entry, in units of 1/(n m)."""
    return ((plan - expected).abs().max() * plan.numel()).item()


def distance_from_optimum(cost: Tensor, log_plan: Tensor, regularization: float, mass: float) -> float:
    """How far the conditions of optimality are violated, all relative.

    log π + C/ε = f_i + g_j + l with f, g <= 0, and a row (column) with f < 0 (g < 0) is full.
    """
    n, m = cost.shape
    plan, rest = log_plan.exp(), log_plan + cost / regularization
    f, g = rest - rest.max(0, keepdim=True).values, rest - rest.max(1, keepdim=True).values
    rows, columns = plan.sum(1) * n, plan.sum(0) * m
    violations = [
        (plan.sum() / mass - 1).abs(),
        (rows - 1).clamp(min=0).max(),
        (columns - 1).clamp(min=0).max(),
        (f - f.mean(1, keepdim=True)).abs().max(),
        ((1 - rows) * -f.mean(1).clamp(min=-1)).abs().max(),
        ((1 - columns) * -g.mean(0).clamp(min=-1)).abs().max(),
    ]
    return max(violation.item() for violation in violations)


@pytest.mark.parametrize("pairs", [2, 10, 24, 32])
@pytest.mark.parametrize("mass", [0.7, 0.9, 0.95, 1])
@pytest.mark.parametrize("regularization", [0.03, 0.05, 0.1])
def test_plans_are_pots_where_pot_has_converged_and_optimal_everywhere(
    regularization: float, mass: float, pairs: int
) -> None:
    costs = costs_of(pairs, pairs)
    plan = partial_transport_plan(costs.float(), mass=mass, regularization=regularization).double()
    expected = by_pot(costs, regularization, mass, 3000, stopThr=1e-14)
    exact = log_partial_transport_plan(costs, mass=mass, regularization=regularization)
    if mass < 1:
        assert distance_from_optimum(costs, exact, regularization, mass) < 1e-5
    assert furthest(plan, exact.exp()) < 1e-3
    again = by_pot(costs, regularization, mass, 3300, stopThr=1e-14)
    if furthest(expected, again) < 1e-6:
        assert furthest(plan, expected) < 1e-3


def test_the_slow_cases_are_pots_too_when_pot_is_given_time() -> None:
    costs = costs_of(24, 24, noise=0.7)
    plan = partial_transport_plan(costs, mass=0.95, regularization=0.03)
    assert furthest(by_pot(costs, 0.03, 0.95, 1000), plan) > 1e-3
    assert furthest(by_pot(costs, 0.03, 0.95, 30000), plan) < 1e-3


@pytest.mark.parametrize(("n", "m"), [(300, 77), (77, 300), (300, 196)])
def test_rectangular_plans_with_outliers_are_pots(n: int, m: int) -> None:
    costs = costs_of(n, m, outliers=9)
    plan = partial_transport_plan(costs.float(), mass=0.9, regularization=0.05)
    assert furthest(plan, by_pot(costs, 0.05, 0.9, 150)) < 1e-3
    plan = partial_transport_plan(costs.float(), mass=0.9, regularization=0.05, iterations=150)
    assert furthest(plan, by_pot(costs, 0.05, 0.9, 150)) < 1e-3


@pytest.mark.parametrize("iterations", [1, 2, 7, 50])
def test_so_many_iterations_are_pots_so_many_iterations(iterations: int) -> None:
    """The corrections of Dykstra's algorithm reduce to vectors without changing an iterate."""
    costs = costs_of(12, 9)
    plan = partial_transport_plan(costs, mass=0.8, regularization=0.05, iterations=iterations)
    assert furthest(plan, by_pot(costs, 0.05, 0.8, iterations)) < 1e-9
    wide = partial_transport_plan(costs, mass=0.8, regularization=0.02, iterations=iterations)
    assert furthest(wide, by_pot(costs, 0.02, 0.8, iterations)) < 1e-9


def test_a_batch_is_its_problems_one_by_one() -> None:
    costs = torch.stack([costs_of(20, 8, seed=seed) for seed in range(6)]).reshape(2, 3, 20, 8)
    for iterations in (None, 60):
        plans = partial_transport_plan(costs, iterations=iterations)
        assert plans.shape == (2, 3, 20, 8)
        single = partial_transport_plan(costs[1, 2], iterations=iterations)
        assert furthest(plans[1, 2], single) < 1e-4
    assert partial_transport_plan(costs[:0]).shape == (0, 3, 20, 8)


def test_the_plan_is_in_fp32_under_autocast_and_repeats_to_the_bit() -> None:
    costs = costs_of(32, 32).float()
    plain = partial_transport_plan(costs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(partial_transport_plan(costs), plain)
        assert torch.equal(partial_transport_plan(costs, iterations=50), partial_transport_plan(costs, iterations=50))
    assert torch.equal(partial_transport_plan(costs, iterations=50), partial_transport_plan(costs, iterations=50))
    assert partial_transport_plan(costs.bfloat16()).dtype == torch.float32


@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(1, 7),
    m=st.integers(1, 7),
    mass=st.sampled_from([0.05, 0.5, 0.95, 0.999, 1.0]),
    scale=st.sampled_from([0.0, 1e-30, 1e-3, 1.0, 30.0, 1e4, 1e18]),
    kind=st.sampled_from(["random", "equal rows", "one dominates", "negative"]),
    iterations=st.sampled_from([None, 1, 40]),
    seed=st.integers(0, 99),
)
def test_wild_costs_give_finite_plans_and_gradients(
    n: int, m: int, mass: float, scale: float, kind: str, iterations: int | None, seed: int
) -> None:
    costs = torch.rand(n, m, generator=torch.Generator().manual_seed(seed)) * scale
    if kind == "equal rows":
        costs = costs[:1].expand(n, m).clone()
    elif kind == "one dominates":
        costs[0, 0] = 1e6 * max(scale, 1)
    elif kind == "negative":
        costs = -costs
    costs.requires_grad_()
    log_plan = log_partial_transport_plan(costs, mass=mass, iterations=iterations)
    assert log_plan.isfinite().all()
    plan = log_plan.detach().exp()
    if scale <= 1 and kind != "one dominates" and iterations is None:
        assert plan.sum().item() == pytest.approx(mass, rel=1e-4)
        assert plan.sum(1).max().item() < (1 + 1e-3) / n
        assert plan.sum(0).max().item() < (1 + 1e-3) / m
    log_plan.diagonal().sum().backward()
    assert costs.grad.isfinite().all()


@pytest.mark.parametrize("iterations", [None, 1, 3, 25])
@pytest.mark.parametrize("mass", [0.6, 0.9, 1.0])
def test_gradients_are_those_of_finite_differences(mass: float, iterations: int | None) -> None:
    costs = torch.stack([costs_of(5, 4, seed=seed) for seed in range(2)]).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda c: log_partial_transport_plan(c, mass=mass, regularization=0.2, iterations=iterations), costs, atol=1e-6
    )


@pytest.mark.parametrize("mass", [0.7, 0.95])
def test_implicit_gradients_are_those_of_finite_differences_in_hard_problems_too(mass: float) -> None:
    costs = costs_of(6, 6, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda c: log_partial_transport_plan(c, mass=mass, regularization=0.05), costs, eps=1e-7, atol=1e-3
    )


def test_the_implicit_gradient_is_the_unrolled_one_of_many_iterations() -> None:
    found = []
    for iterations in (None, 3000):
        costs = costs_of(16, 16, noise=0.5).requires_grad_()
        log_partial_transport_plan(
            costs, mass=0.9, regularization=0.05, iterations=iterations
        ).diagonal().sum().backward()
        found.append(costs.grad)
    assert (found[0] - found[1]).abs().max() < 1e-3 * found[1].abs().max()


def test_at_mass_one_it_is_the_balanced_plan() -> None:
    costs = costs_of(12, 12)
    plan = partial_transport_plan(costs, mass=1, regularization=0.05)
    expected = ot.sinkhorn(
        np.full(12, 1 / 12), np.full(12, 1 / 12), costs.numpy(), 0.05, numItermax=5000, stopThr=1e-14
    )
    assert furthest(plan, torch.from_numpy(expected)) < 1e-6


def test_a_little_mass_takes_the_cheapest_pairs_only() -> None:
    costs = torch.ones(4, 4)
    costs[2, 1] = 0
    plan = partial_transport_plan(costs, mass=0.2, regularization=0.05)
    assert plan[2, 1].item() == pytest.approx(0.2, abs=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mass": 0}, "mass of 0"),
        ({"mass": 1.01}, r"mass of 1\.01"),
        ({"mass": math.nan}, "mass of nan"),
        ({"regularization": -1}, "regularization of -1"),
        ({"regularization": math.inf}, "regularization of inf"),
        ({"iterations": 0}, "0 iterations"),
    ],
)
def test_settings_without_a_solution_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        partial_transport_plan(torch.zeros(3, 3), **wrong)
    assert caught.value.hint
