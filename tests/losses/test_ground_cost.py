from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from scipy.spatial.distance import cdist

from med3dinsight.errors import ConfigError
from med3dinsight.losses.ground_cost import METRICS, GroundCost


@pytest.mark.parametrize("kind", METRICS)
def test_costs_are_scipys_mahalanobis_distances_over_the_largest(kind: str) -> None:
    torch.manual_seed(0)
    answers, targets = torch.randn(7, 5, dtype=torch.float64), torch.randn(9, 5, dtype=torch.float64)
    cost = GroundCost(kind, 5)
    if kind != "euclidean":
        cost.factor.data += 0.3 * torch.randn(cost.factor.shape)
    metric = cost.metric()
    inverse = torch.eye(5) if metric is None else metric.detach().double()
    x, y = F.normalize(answers, dim=1).numpy(), F.normalize(targets, dim=1).numpy()
    expected = torch.from_numpy(cdist(x, y, "mahalanobis", VI=inverse.numpy()))
    assert torch.allclose(cost(3 * answers, targets), expected / expected.max(), atol=1e-6)


@pytest.mark.parametrize("kind", METRICS)
def test_every_metric_starts_as_the_euclidean_one(kind: str) -> None:
    torch.manual_seed(0)
    answers, targets = torch.randn(4, 6), torch.randn(4, 6)
    assert torch.allclose(GroundCost(kind, 6)(answers, targets), GroundCost("euclidean", 6)(answers, targets))


@pytest.mark.parametrize("kind", ["diagonal", "psd"])
def test_a_learned_metric_stays_positive_semi_definite_whatever_the_steps(kind: str) -> None:
    torch.manual_seed(0)
    cost = GroundCost(kind, 6)
    optimizer = torch.optim.SGD(cost.parameters(), lr=5.0)
    answers, targets = torch.randn(8, 6), torch.randn(8, 6)
    for _ in range(20):
        optimizer.zero_grad()
        cost(answers, targets).diagonal().sum().backward()
        optimizer.step()
    metric = cost.metric().detach()
    assert not torch.allclose(metric, torch.eye(6), atol=0.1)
    assert torch.linalg.eigvalsh(metric.double()).min() > -1e-6
    assert torch.equal(metric, metric.T)


@pytest.mark.parametrize("kind", METRICS)
def test_gradients_are_those_of_finite_differences(kind: str) -> None:
    torch.manual_seed(0)
    answers, targets = (torch.randn(4, 3, dtype=torch.float64).requires_grad_() for _ in range(2))
    cost = GroundCost(kind, 3).double()
    assert torch.autograd.gradcheck(lambda *inputs: cost(*inputs[:2]), (answers, targets, *cost.parameters()))


def test_the_scale_of_the_metric_has_no_gradient_and_cannot_run_away() -> None:
    torch.manual_seed(0)
    cost = GroundCost("psd", 4)
    (cost(torch.randn(5, 4), torch.randn(5, 4)) * torch.rand(5, 5)).sum().backward()
    assert abs((cost.factor.grad * cost.factor).sum().item()) < 1e-5 < cost.factor.grad.abs().max().item()


def test_equal_vectors_are_at_zero_with_a_finite_gradient() -> None:
    answers = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    cost = GroundCost("psd", 3)
    costs = cost(answers, answers.detach().clone())
    assert costs.diagonal().abs().max().item() == 0
    costs.sum().backward()
    assert answers.grad.isfinite().all()
    assert cost(torch.ones(4, 3), torch.ones(4, 3)).abs().max().item() == 0


def test_small_distances_are_not_lost_in_fp32() -> None:
    exact = torch.randn(3, 64, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    near = exact + 1e-5 * torch.randn(3, 64, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    cost = GroundCost("euclidean", 64)
    single, double = cost(near.float(), exact.float()), cost(near, exact)
    assert torch.allclose(single.diagonal().double(), double.diagonal(), rtol=0.05, atol=0)


def test_unknown_metrics_are_refused_with_the_nearest_known() -> None:
    with pytest.raises(ConfigError, match="no metric 'euclidian'") as caught:
        GroundCost("euclidian", 3)
    assert caught.value.hint == "did you mean euclidean?"
