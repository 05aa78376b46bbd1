"""Entropic optimal transport of all mass, with uniform marginals: Sinkhorn's iteration."""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor

from ..errors import ConfigError
from .precision import full_precision, without_autocast


def log_transport_plan(
    cost: Float[Tensor, "*batch n m"], *, regularization: float | int = 0.03, iterations: int = 200
) -> Float[Tensor, "*batch n m"]:
    r"""Logarithm of the balanced transport plan, by Sinkhorn's iteration of logarithms.

    .. math:: \arg\min \; \langle \pi, C \rangle + \epsilon \sum \pi \log \pi \quad
        \text{with} \quad \pi 1 = 1/n, \; \pi^T 1 = 1/m

    (Cuturi 2013). The columns are exact, the rows as near as the iterations brought them. The gradient is the
    unrolled one.

    Args:
        cost: Costs of any scale and sign; float64 stays, all else is computed in float32, under autocast too.
        regularization: :math:`\epsilon` > 0, in the unit of the cost.
        iterations: How often both potentials are renewed, at least 1.

    Raises:
        ConfigError: A setting is out of its range.
    """
    check_transport(regularization, iterations)
    n, m = cost.shape[-2:]
    with without_autocast(cost):
        scaled = full_precision(cost) / -regularization
        log_v = scaled.new_zeros(*scaled.shape[:-2], 1, m)
        for _ in range(iterations):
            log_u = -math.log(n) - (scaled + log_v).logsumexp(-1, keepdim=True)
            log_v = -math.log(m) - (scaled + log_u).logsumexp(-2, keepdim=True)
        return scaled + log_u + log_v


def transport_plan(
    cost: Float[Tensor, "*batch n m"], *, regularization: float | int = 0.03, iterations: int = 200
) -> Float[Tensor, "*batch n m"]:
    """The balanced transport plan of each cost matrix; see `log_transport_plan`.

    Args:
        cost: Costs of any scale and sign.
        regularization: Weight of the entropy, in the unit of the cost.
        iterations: How often both potentials are renewed.

    Returns:
        Plans whose columns sum to 1/m, and rows to 1/n as far as it has converged.

    Raises:
        ConfigError: A setting is out of its range.

    Example:
        >>> import torch
        >>> transport_plan(torch.eye(2) * -9).tolist()
        [[0.5, 0.0], [0.0, 0.5]]
    """
    return log_transport_plan(cost, regularization=regularization, iterations=iterations).exp()


def check_transport(regularization: float | int, iterations: int, mass: float | int = 1) -> None:
    """Refuses settings of a transport problem that have no solution or no meaning.

    Args:
        regularization: Positive and finite.
        iterations: At least 1.
        mass: In (0, 1].

    Raises:
        ConfigError: One is out of its range.
    """
    if not 0 < mass <= 1:
        raise ConfigError(f"a mass of {mass} cannot be transported", "choose a share in (0, 1]")
    if not 0 < regularization < math.inf:
        raise ConfigError(f"a regularization of {regularization} is out of range", "choose a positive number")
    if iterations < 1:
        raise ConfigError(f"{iterations} iterations solve nothing", "choose at least 1; 200 is usual")
