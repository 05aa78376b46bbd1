from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from med3dinsight.losses import log_partial_transport_plan
from med3dinsight.losses.alignment import AlignmentSettings, build_alignment_loss
from med3dinsight.losses.transport_losses import (
    entropic_objective,
    kept_mass_loss,
    matched_mass_loss,
    transport_cost,
)


def costs_of(pairs: int, seed: int = 0) -> Tensor:
    return torch.rand(pairs, pairs, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pairs_with_an_outlier(pairs: int, width: int = 32) -> tuple[Tensor, Tensor]:
    """Pairs that nearly match, but the first target belongs to somebody else."""
    generator = torch.Generator().manual_seed(0)
    targets = F.normalize(torch.randn(pairs, width, generator=generator), dim=1)
    answers = F.normalize(targets + 0.05 * torch.randn(pairs, width, generator=generator), dim=1)
    targets[0] = F.normalize(torch.randn(width, generator=generator), dim=0)
    return answers, targets


def push_on_pairs(name: str, pairs: int = 32) -> Tensor:
    answers, targets = pairs_with_an_outlier(pairs)
    answers.requires_grad_()
    build_alignment_loss(32, AlignmentSettings(name, iterations=None))(answers, targets).backward()
    return answers.grad.norm(dim=1)


def test_the_outlier_pushes_hardest_unless_it_is_weighted_by_the_mass_it_keeps() -> None:
    plain, weighted = push_on_pairs("partial-ot"), push_on_pairs("weighted-partial-ot")
    assert plain.argmax().item() == 0
    assert weighted[0] < 0.5 * plain[0]
    assert weighted[0] / weighted.sum() < 0.5 * plain[0] / plain.sum()


def test_the_outliers_push_is_one_over_b_epsilon() -> None:
    """Each entry of -log π_ii falls by 1/ε with its cost, whatever the pair: nothing holds the outlier back."""
    costs = torch.ones(32, 32, dtype=torch.float64) - torch.eye(32, dtype=torch.float64)
    costs[0, 0] = 0.9
    costs.requires_grad_()
    matched_mass_loss(log_partial_transport_plan(costs, mass=0.95, regularization=0.05)).backward()
    assert costs.grad.diagonal()[0].item() == pytest.approx(1 / (32 * 0.05), rel=0.05)
    assert costs.grad.diagonal()[1:].abs().max().item() < 0.1 / (32 * 0.05)


def test_a_row_that_is_left_out_weighs_what_it_keeps() -> None:
    plan = torch.tensor([[0.4, 0.1], [0.1, 0.2]], dtype=torch.float64)
    expected = -(0.5 * math.log(0.4) + 0.3 * math.log(0.2)) / 0.8
    assert kept_mass_loss(plan.log()).item() == pytest.approx(expected)
    assert matched_mass_loss(plan.log()).item() == pytest.approx(-(math.log(0.4) + math.log(0.2)) / 2)
    assert transport_cost(plan.log(), torch.eye(2, dtype=torch.float64)).item() == pytest.approx(0.6)


def test_the_weights_are_held_still() -> None:
    log_plan = torch.tensor([[0.4, 0.1], [0.1, 0.2]]).log().requires_grad_()
    kept_mass_loss(log_plan).backward()
    assert torch.allclose(log_plan.grad, -torch.diag(torch.tensor([0.5, 0.3]) / 0.8))


@pytest.mark.parametrize("mass", [0.7, 0.95, 1.0])
def test_the_envelope_gradient_of_the_entropic_objective_is_that_of_finite_differences(mass: float) -> None:
    costs = torch.stack([costs_of(5, seed) for seed in range(2)]).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda c: entropic_objective(c, mass=mass, regularization=0.1), costs, eps=1e-5, atol=1e-5
    )


def test_the_transport_cost_alone_has_no_envelope_gradient() -> None:
    """Its gradient with the plan held still is the plan, and not the slope of its own value."""
    costs = costs_of(5).requires_grad_()

    def value(c: Tensor) -> Tensor:
        return transport_cost(log_partial_transport_plan(c, mass=0.9, regularization=0.1), c)

    value(costs).backward()
    slopes = torch.zeros(5, 5, dtype=torch.float64)
    for i in range(5):
        for j in range(5):
            step = torch.zeros_like(slopes)
            step[i, j] = 1e-5
            with torch.no_grad():
                slopes[i, j] = (value(costs + step) - value(costs - step)) / 2e-5
    plan = log_partial_transport_plan(costs.detach(), mass=0.9, regularization=0.1).exp()
    assert torch.allclose(costs.grad, plan)
    assert (costs.grad - slopes).abs().max() > 0.3 * slopes.abs().max()


def test_a_detached_plan_gives_the_loss_of_the_plan_no_gradient() -> None:
    costs = costs_of(5).requires_grad_()
    log_plan = log_partial_transport_plan(costs)
    assert matched_mass_loss(log_plan).requires_grad
    assert not matched_mass_loss(log_plan.detach()).requires_grad
