from __future__ import annotations

import numpy as np
import ot
import pytest
import torch
from torch import Tensor

from med3dinsight.errors import ConfigError
from med3dinsight.losses import log_transport_plan, transport_plan
from med3dinsight.losses.balanced_transport import _by_logarithms


def costs_of(n: int, m: int, seed: int = 0) -> Tensor:
    return torch.rand(n, m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("regularization", [0.03, 0.1, 1])
@pytest.mark.parametrize(("n", "m"), [(8, 8), (30, 7), (7, 30)])
def test_plans_are_pots_sinkhorn(n: int, m: int, regularization: float) -> None:
    costs = costs_of(n, m)
    a, b = np.full(n, 1 / n), np.full(m, 1 / m)
    expected = ot.sinkhorn(a, b, costs.numpy(), regularization, numItermax=20000, stopThr=1e-13)
    assert np.abs(transport_plan(costs, regularization=regularization).numpy() - expected).max() * n * m < 1e-5
    many = transport_plan(costs.float(), regularization=regularization, iterations=3000)
    assert np.abs(many.numpy() - expected).max() * n * m < 1e-3


def test_all_mass_is_moved_and_every_row_is_full() -> None:
    plans = transport_plan(torch.stack([costs_of(9, 5, seed) for seed in range(3)]), regularization=0.02)
    assert torch.allclose(plans.sum(2), torch.full((3, 9), 1 / 9, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(plans.sum(1), torch.full((3, 5), 1 / 5, dtype=torch.float64), atol=1e-9)


def test_a_shift_of_a_row_or_column_changes_nothing() -> None:
    costs = costs_of(6, 6)
    shifted = costs + torch.arange(6.0)[:, None] - 3 * torch.arange(6.0)
    assert torch.allclose(transport_plan(shifted), transport_plan(costs), atol=1e-9)


@pytest.mark.parametrize("iterations", [None, 20])
def test_gradients_are_those_of_finite_differences(iterations: int | None) -> None:
    costs = costs_of(4, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda c: log_transport_plan(c, regularization=0.2, iterations=iterations), costs)


def test_factors_and_logarithms_go_the_same_way() -> None:
    """The largest cost decides which of the two is taken; one entry more in a far corner must not change the others."""
    costs = costs_of(20, 20).float() / 0.03
    costs[3, 3] = 39.9
    near, far = costs.clone().requires_grad_(), costs.double().clone().requires_grad_()
    values = [log_transport_plan(costs, regularization=1, iterations=50).diagonal().mean() for costs in (near, far)]
    by_logarithms = _by_logarithms(-far[None], 50)[0].diagonal().mean()
    for value in (*values, by_logarithms):
        value.backward()
    assert values[0].item() == pytest.approx(by_logarithms.item(), rel=1e-5)
    assert (near.grad.double() - far.grad / 2).norm() < 1e-4 * near.grad.norm()


def test_the_graph_of_many_iterations_keeps_vectors_not_matrices() -> None:
    kept: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor.untyped_storage().data_ptr() if tensor.numel() >= 64 * 64 else 0)
        return tensor

    costs = costs_of(64, 64).float().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        log_transport_plan(costs, iterations=100)
    assert len(set(kept)) < 8


def test_settings_without_a_meaning_are_refused() -> None:
    with pytest.raises(ConfigError, match="regularization of 0"):
        transport_plan(torch.zeros(2, 2), regularization=0)
    with pytest.raises(ConfigError, match="-3 iterations"):
        transport_plan(torch.zeros(2, 2), iterations=-3)
