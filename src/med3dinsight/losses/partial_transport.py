r"""Entropic partial optimal transport with uniform marginals, batched and differentiable.

The plan of n answers and m targets under a cost C is

.. math:: \pi = \arg\min \; \langle \pi, C \rangle + \epsilon \sum \pi \log \pi \quad
    \text{with} \quad \pi 1 \le 1/n, \; \pi^T 1 \le 1/m, \; \textstyle\sum \pi = s

(Benamou et al. 2015, proposition 5). They project in turn on the three constraints in the sense of Kullback and
Leibler, with Dykstra's corrections, each a matrix as large as the plan. The corrections need not be kept. Write
:math:`\pi = diag(u)\, K\, diag(v)\, \lambda` with :math:`K = e^{-C/\epsilon}`. The projection on the rows
multiplies row i by :math:`r_i = \min(1/(n \cdot \text{row sum}), 1)`, and Dykstra's correction after it is
:math:`q_{ij} \leftarrow q_{ij} \pi_{ij} / (r_i q_{ij} \pi_{ij}) = 1/r_i`: one number a row, the inverse of what was
applied. Multiplying with it before the next projection on the rows therefore just takes the last row factor back,
so :math:`u_i` is the row's last factor and nothing else. The same holds for columns and for the mass, and the
iteration is one of two vectors and a number:

.. math:: u = \min\Big(\frac{1}{n \lambda K v}, 1\Big), \quad v = \min\Big(\frac{1}{m \lambda K^T u}, 1\Big), \quad
    \lambda = \frac{s}{u^T K v}

from :math:`u = v = 1,\; \lambda = s / \sum K`. Its iterates are those of the matrices, one by one.
"""

from __future__ import annotations

import functools
import math

import torch
from jaxtyping import Float
from torch import Tensor

from .balanced_transport import SCALING_RANGE, check_transport, log_transport_plan
from .precision import full_precision, without_autocast
from .transport_optimum import optimal_log_plan

#: A mass this near to 1 leaves nothing out: the problem is the balanced one.
WHOLE = 1 - 1e-6


def log_partial_transport_plan(
    cost: Float[Tensor, "*batch n m"],
    *,
    mass: float | int = 0.95,
    regularization: float | int = 0.03,
    iterations: int | None = None,
) -> Float[Tensor, "*batch n m"]:
    r"""Logarithm of the partial transport plan: finite where the plan itself is 0 in floating point.

    Without a number of iterations the plan is the optimum, in float64 inside, and the gradient the implicit one (see
    `transport_optimum`). With one, exactly so many of the above are done and the gradient is the unrolled one: the
    same cost for every batch. 200 are usual in training; where ε is small they may be far from the optimum. At
    ``mass`` 1 this is the balanced problem, and Sinkhorn's iteration takes the place of the clamped one, which creeps
    there.

    Args:
        cost: Costs of any scale and sign; float64 stays, all else is computed in float32, under autocast too.
        mass: s in (0, 1], the share of all mass that is moved.
        regularization: :math:`\epsilon` > 0, in the unit of the cost.
        iterations: How often the two vectors and the number are renewed; none for the optimum.

    Raises:
        ConfigError: A setting is out of its range.
    """
    check_transport(regularization, iterations, mass)
    if not cost.numel():
        return full_precision(cost)
    if mass > WHOLE:
        return log_transport_plan(cost, regularization=regularization, iterations=iterations)
    with without_autocast(cost):
        scaled = full_precision(cost).reshape(-1, *cost.shape[-2:]) / -regularization
        # The least cost at 0: a shift of all costs changes nothing but the factor of the mass.
        scaled = scaled - scaled.detach().amax((1, 2), keepdim=True)
        by_factors = bool(scaled.detach().amin() >= -SCALING_RANGE)
        if iterations is None:
            plain = functools.partial(_by_factors, mass) if by_factors else None
            log_plan = optimal_log_plan(scaled, mass, plain)
        else:
            wide = scaled if by_factors else scaled.double()
            log_u, log_v, log_factor = (_by_factors if by_factors else _by_logarithms)(mass, wide, iterations)
            log_plan = wide + log_u + log_v + log_factor
        return log_plan.to(scaled.dtype).reshape(cost.shape)


def partial_transport_plan(
    cost: Float[Tensor, "*batch n m"],
    *,
    mass: float | int = 0.95,
    regularization: float | int = 0.03,
    iterations: int | None = None,
) -> Float[Tensor, "*batch n m"]:
    """The partial transport plan of each cost matrix; see `log_partial_transport_plan`.

    Args:
        cost: Costs of any scale and sign.
        mass: Share of all mass that is moved, in (0, 1].
        regularization: Weight of the entropy, in the unit of the cost.
        iterations: How often the factors are renewed; none for the optimum.

    Returns:
        Plans that sum to ``mass``, rows to at most 1/n and columns to at most 1/m.

    Raises:
        ConfigError: A setting is out of its range.

    Example:
        >>> plan = partial_transport_plan(torch.tensor([[0.0, 1.0], [1.0, 0.5]]), mass=0.5)
        >>> [round(value, 3) for value in plan.flatten().tolist()]
        [0.5, 0.0, 0.0, 0.0]
    """
    log_plan = log_partial_transport_plan(cost, mass=mass, regularization=regularization, iterations=iterations)
    return log_plan.exp()


def _by_factors(mass: float | int, scaled: Tensor, iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    n, m = scaled.shape[1:]
    kernel = scaled.exp()
    # Row vectors times contiguous matrices, both ways: batched products are twice as fast so.
    turned = kernel.mT.contiguous()
    u, v = kernel.new_ones(len(kernel), 1, n), kernel.new_ones(len(kernel), 1, m)
    factor = mass / kernel.sum((1, 2))[:, None, None]
    for _ in range(iterations):
        u = (1 / (n * factor * torch.bmm(v, turned))).clamp(max=1)
        columns = torch.bmm(u, kernel)
        v = (1 / (m * factor * columns)).clamp(max=1)
        factor = mass / torch.bmm(v, columns.mT)
    return u.log().mT, v.log(), factor.log()


def _by_logarithms(mass: float | int, scaled: Tensor, iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    n, m = scaled.shape[1:]
    log_u, log_v = scaled.new_zeros(len(scaled), n, 1), scaled.new_zeros(len(scaled), 1, m)
    log_factor = math.log(mass) - scaled.logsumexp((1, 2), keepdim=True)
    for _ in range(iterations):
        log_u = (-math.log(n) - log_factor - (scaled + log_v).logsumexp(2, keepdim=True)).clamp(max=0)
        columns = (scaled + log_u).logsumexp(1, keepdim=True)
        log_v = (-math.log(m) - log_factor - columns).clamp(max=0)
        log_factor = math.log(mass) - (columns + log_v).logsumexp(2, keepdim=True)
    return log_u, log_v, log_factor
