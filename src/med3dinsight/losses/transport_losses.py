r"""Losses of matching pairs by a transport plan: pair i is answer i and target i, so mass belongs on the diagonal.

Which gradient is exact where:

- :math:`-\log \pi_{ii}` needs the plan's own gradient (unrolled here). A detached plan gives it none at all.
- The entropic objective :math:`\langle \pi, C \rangle + \epsilon \sum \pi \log \pi` has :math:`\partial / \partial C =
  \pi` at the optimum (the envelope theorem): the plan may be detached.
- :math:`\langle \pi, C \rangle` alone has no such gradient. `transport_cost` holds the plan still and says so.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from .partial_transport import log_partial_transport_plan
from .precision import full_precision


def matched_mass_loss(log_plan: Float[Tensor, "b b"]) -> Float[Tensor, ""]:
    r"""Mean of :math:`-\log \pi_{ii}` (the extended Med3DInsight's :math:`L_{OT}`).

    It does not spare a wrong pair: its gradient tends to :math:`1/(b \epsilon)` for the pair that fits worst, so
    the outlier pushes hardest. See `kept_mass_loss`.

    Args:
        log_plan: Logarithm of a plan of mass s with its graph.

    Returns:
        A scalar, at least log(b/s).
    """
    return -log_plan.diagonal().mean()


def kept_mass_loss(log_plan: Float[Tensor, "b b"]) -> Float[Tensor, ""]:
    r"""The same with each pair weighted by the mass that its row keeps (ours).

    .. math:: -\sum_i w_i \log \pi_{ii}, \quad w_i = \sum_j \pi_{ij} / s \;\text{ held still}

    A row that the plan leaves out weighs nothing. At most 1 - s of all mass is left out: a whole pair of b only
    when b (1 - s) >= 1, which at s = 0.95 takes 20 pairs.

    Args:
        log_plan: Logarithm of a plan of mass s with its graph.

    Returns:
        A scalar; log(b/s) where all pairs fit equally well.
    """
    kept = log_plan.detach().exp().sum(1)
    return -(kept / kept.sum() * log_plan.diagonal()).sum()


def transport_cost(log_plan: Float[Tensor, "b b"], cost: Float[Tensor, "b b"]) -> Float[Tensor, ""]:
    r""":math:`\langle \pi, C \rangle` with the plan held still.

    The gradient is the plan itself: pairs that are moved come nearer. It is the exact gradient of the entropic
    objective and not of this number.

    Args:
        log_plan: Logarithm of the plan of the cost.
        cost: The costs with their graph.
    """
    return (log_plan.detach().exp() * cost).sum()


def entropic_objective(
    cost: Float[Tensor, "*batch n m"],
    *,
    mass: float | int = 0.95,
    regularization: float | int = 0.03,
    iterations: int | None = None,
) -> Float[Tensor, "*batch"]:
    r"""The least value of :math:`\langle \pi, C \rangle + \epsilon \sum \pi \log \pi`, with its envelope gradient.

    The plan is solved without a graph; the gradient with regard to the cost is the plan (Danskin's theorem), exact
    as far as the iterations converged.

    Args:
        cost: The costs with their graph.
        mass: Share of all mass that is moved, in (0, 1].
        regularization: :math:`\epsilon` > 0.
        iterations: Of the solver; none for the optimum.

    Raises:
        ConfigError: A setting is out of its range.
    """
    with torch.no_grad():
        log_plan = log_partial_transport_plan(cost, mass=mass, regularization=regularization, iterations=iterations)
        plan = log_plan.exp()
    return (plan * (full_precision(cost) + regularization * log_plan)).sum((-2, -1))
