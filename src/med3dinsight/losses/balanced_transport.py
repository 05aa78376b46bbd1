"""Entropic optimal transport of all mass, with uniform marginals: Sinkhorn's iteration."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import ConfigError
from .precision import full_precision, without_autocast
from .transport_optimum import optimal_log_plan

#: Beyond this range of C/ε the factors leave fp32, and the iteration goes by logarithms in float64.
SCALING_RANGE = 40.0


def log_transport_plan(
    cost: Float[Tensor, "*batch n m"], *, regularization: float | int = 0.03, iterations: int | None = None
) -> Float[Tensor, "*batch n m"]:
    r"""Logarithm of the balanced transport plan, by the optimum or by Sinkhorn's iteration of logarithms.

    .. math:: \arg\min \; \langle \pi, C \rangle + \epsilon \sum \pi \log \pi \quad
        \text{with} \quad \pi 1 = 1/n, \; \pi^T 1 = 1/m

    (Cuturi 2013). Without a number of iterations the plan is the optimum, in float64 inside, and the gradient the
    implicit one (see `transport_optimum`). With one, the columns are exact, the rows as near as the iterations brought
    them, and the gradient is the unrolled one.

    Args:
        cost: Costs of any scale and sign; float64 stays, all else is computed in float32, under autocast too.
        regularization: :math:`\epsilon` > 0, in the unit of the cost.
        iterations: How often both potentials are renewed; none for the optimum.

    Raises:
        ConfigError: A setting is out of its range.
    """
    check_transport(regularization, iterations)
    if not cost.numel():
        return full_precision(cost)
    n, m = cost.shape[-2:]
    with without_autocast(cost):
        scaled = full_precision(cost) / -regularization
        if iterations is None:
            return optimal_log_plan(scaled.reshape(-1, n, m), 1).to(scaled.dtype).reshape(cost.shape)
        scaled = scaled.reshape(-1, n, m)
        # A shift of all costs changes nothing of a balanced plan.
        shifted = scaled - scaled.detach().amax((1, 2), keepdim=True)
        iterate = _by_factors if bool(shifted.detach().amin() >= -SCALING_RANGE) else _by_logarithms
        return iterate(shifted, iterations).to(scaled.dtype).reshape(cost.shape)


def _by_factors(scaled: Tensor, iterations: int) -> Tensor:
    """The graph holds the kernel once and two vectors an iteration, so that thousands of pairs fit."""
    n, m = scaled.shape[1:]
    kernel = scaled.exp()
    # Row vectors times contiguous matrices, both ways: batched products are twice as fast so.
    turned = kernel.mT.contiguous()
    v = kernel.new_ones(len(kernel), 1, m)
    for _ in range(iterations):
        u = 1 / (n * torch.bmm(v, turned))
        v = 1 / (m * torch.bmm(u, kernel))
    return scaled + u.log().mT + v.log()


def _by_logarithms(scaled: Tensor, iterations: int) -> Tensor:
    n, m = scaled.shape[1:]
    # Logarithms of 1e6 have two digits after the point in float32.
    wide = scaled.double()
    log_v = wide.new_zeros(len(wide), 1, m)
    for _ in range(iterations):
        log_u = -math.log(n) - (wide + log_v).logsumexp(-1, keepdim=True)
        log_v = -math.log(m) - (wide + log_u).logsumexp(-2, keepdim=True)
    return wide + log_u + log_v


def transport_plan(
    cost: Float[Tensor, "*batch n m"], *, regularization: float | int = 0.03, iterations: int | None = None
) -> Float[Tensor, "*batch n m"]:
    """The balanced transport plan of each cost matrix; see `log_transport_plan`.

    Args:
        cost: Costs of any scale and sign.
        regularization: Weight of the entropy, in the unit of the cost.
        iterations: How often both potentials are renewed; none for the optimum.

    Returns:
        Plans whose columns sum to 1/m, and rows to 1/n as far as it has converged.

    Raises:
        ConfigError: A setting is out of its range.

    Example:
        >>> import torch
        >>> transport_plan(torch.eye(2) * -4).round(decimals=5).tolist()
        [[0.5, 0.0], [0.0, 0.5]]
    """
    return log_transport_plan(cost, regularization=regularization, iterations=iterations).exp()


def check_transport(regularization: float | int, iterations: int | None, mass: float | int = 1) -> None:
    """Refuses settings of a transport problem that have no solution or no meaning.

    Args:
        regularization: Positive and finite.
        iterations: At least 1, or none for the optimum.
        mass: In (0, 1].

    Raises:
        ConfigError: One is out of its range.
    """
    if not 0 < mass <= 1:
        raise ConfigError(f"a mass of {mass} cannot be transported", "choose a share in (0, 1]")
    if not 0 < regularization < math.inf:
        raise ConfigError(f"a regularization of {regularization} is out of range", "choose a positive number")
    if iterations is not None and iterations < 1:
        raise ConfigError(f"{iterations} iterations solve nothing", "choose at least 1; 200 is usual")
