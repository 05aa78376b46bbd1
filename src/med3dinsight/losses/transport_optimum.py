r"""The transport plan solved to its optimum, where the plain iteration creeps, with the implicit gradient.

Plans of small regularization hang together by masses of :math:`e^{-1/\epsilon}`, and thousands of plain iterations do
not settle which pair is left out. With :math:`\pi_{ij} = e^{S_{ij} + f_i + g_j + \ell}`, :math:`S = -C/\epsilon`,
the dual problem is

.. math:: \min_{f \le 0,\, g \le 0,\, \ell} \; \sum \pi - \tfrac1n \sum f - \tfrac1m \sum g - s\, \ell

smooth and convex, its derivatives the marginals' distances from their bounds; the balanced problem has no bounds on
f and g, and :math:`\ell = 0`. Each round here is one sweep of the plain iteration, which never raises the objective,
and one Newton step on the variables off their bounds, taken where it does not raise it either. In the Newton system the
rows are eliminated; what is left is a graph Laplacian of the columns, whose diagonal is summed up from positive
terms rather than taken as a difference, since the difference would be lost to rounding. (Ours.)

At the optimum :math:`z = (f, g, \ell)` solves :math:`\nabla(z, S) = 0` on the free variables, so one more Newton step
with a graph from S to the gradient and none to the Hessian has the value of z and the derivative
:math:`-H^{-1} \partial \nabla / \partial S` of the implicit function theorem.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: A plan is solved by a full Newton step when the largest move of an entry, in units of 1/(n m), times the largest move
#: of a logarithm is less than this: that is what the next step would still move.
SETTLED = 1e-5
#: And so is one that no full step moves, by more than this in the same units, though logarithms of nothing still move.
STILL = 1e-9
#: After a first step in the start's own precision, how far a marginal may be from its bound, as a share of it.
EVEN = 1e-5
#: Plain iterations before float64 is needed: few for the many that are easy, more for the rest.
PLAIN_ITERATIONS = (25, 150)
#: Plans up to so many entries go to float64 after the first try: its rounds are cheap for them.
SMALL = 4096
#: Rounds after which the best plan so far is given; costs up to 1 with ε of 0.03 and more need a
#: dozen.
MOST_ROUNDS = 100
#: How often the set of variables that a Newton step holds at their bounds is corrected.
BOUND_PASSES = 12
#: Keeps a column that shares no mass with any other from making the system singular.
RIDGE = 1e-15


@dataclass(frozen=True)
class _Potentials:
    """f ``(b, n, 1)``, g ``(b, 1, m)`` and the logarithm of the mass's factor ``(b, 1, 1)``."""

    f: Tensor
    g: Tensor
    mass: Tensor

    def moved(self, step: _Potentials, share: Tensor, *, bounded: bool) -> _Potentials:
        f, g = self.f + share * step.f, self.g + share * step.g
        if bounded:
            f, g = f.clamp(max=0), g.clamp(max=0)
        return _Potentials(f, g, self.mass + share * step.mass)

    def or_else(self, taken: Tensor, other: _Potentials) -> _Potentials:
        pairs = ((self.f, other.f), (self.g, other.g), (self.mass, other.mass))
        return _Potentials(*(torch.where(taken, mine, others) for mine, others in pairs))

    def log_plan(self, scaled: Tensor) -> Tensor:
        # In place where it can be: fresh memory costs more than the sums.
        return (scaled + (self.f + self.mass).to(scaled.dtype)).add_(self.g.to(scaled.dtype))

    def plan(self, scaled: Tensor) -> Tensor:
        return self.log_plan(scaled).exp_()

    def furthest(self) -> Tensor:
        return torch.cat([part.abs().amax((1, 2), keepdim=True) for part in (self.f, self.g, self.mass)], 1).amax(
            1, keepdim=True
        )


#: Solves -C/ε plainly, by so many iterations: logarithms of the factors of rows, columns and the mass.
Plain = Callable[[Tensor, int], tuple[Tensor, Tensor, Tensor]]


def optimal_log_plan(scaled: Tensor, mass: float | int, plain: Plain | None = None) -> Tensor:
    """Logarithm of the optimal plans, with the implicit gradient.

    Args:
        scaled: -C/ε, ``(batch, n, m)``.
        mass: s; 1 means the balanced problem.
        plain: A fast solver in the costs' own precision, tried before float64. It need not be exact.
    """
    if scaled.shape[1] < scaled.shape[2]:
        return optimal_log_plan(scaled.mT, mass, None if plain is None else functools.partial(_turned, plain)).mT
    bounded = mass < 1
    with torch.no_grad():
        found = _search(scaled.detach(), mass, plain, bounded)
    if not (torch.is_grad_enabled() and scaled.requires_grad):
        # Logarithms of wide problems have too few digits after the point in float32.
        return found.log_plan(scaled.double() if plain is None else scaled)
    scaled = scaled.double()
    plan = found.plan(scaled)
    slopes = _slopes(plan, mass)
    free = _free(found, slopes, bounded)
    step = _newton_step(plan.detach(), slopes, free, None, bounded)
    # Its value is that of rounding; its derivative is what is wanted.
    step = _Potentials(*(part - part.detach() for part in (step.f, step.g, step.mass)))
    return found.moved(step, torch.ones_like(found.mass), bounded=False).log_plan(scaled)


def _turned(plain: Plain, scaled: Tensor, iterations: int) -> tuple[Tensor, Tensor, Tensor]:
    rows, columns, mass = plain(scaled.mT.contiguous(), iterations)
    return columns.mT, rows.mT, mass


def _search(scaled: Tensor, mass: float | int, plain: Plain | None, bounded: bool) -> _Potentials:
    """Plain iterations while they settle a problem, then rounds in float64 for those that are left."""
    b, n, m = scaled.shape
    f, g, factor = (scaled.new_zeros(b, *shape, dtype=torch.float64) for shape in ((n, 1), (1, m), (1, 1)))
    left = torch.arange(b, device=scaled.device)
    for iterations in PLAIN_ITERATIONS if n * m > SMALL else PLAIN_ITERATIONS[:1]:
        if plain is None:
            break
        part = scaled if len(left) == b else scaled[left]
        found, settled = _polish(part, _Potentials(*plain(part, iterations)), mass, bounded)
        f[left], g[left], factor[left] = found.f.double(), found.g.double(), found.mass.double()
        left = left[~settled]
        if not len(left):
            return _Potentials(f, g, factor)
    found = _solve(scaled[left].double(), _Potentials(f[left], g[left], factor[left]), mass, bounded)
    f[left], g[left], factor[left] = found.f, found.g, found.mass
    return _Potentials(f, g, factor)


def _polish(scaled: Tensor, at: _Potentials, mass: float | int, bounded: bool) -> tuple[_Potentials, Tensor]:
    """One Newton step in the precision of the start, where it settles a problem; also which ones it did.

    In float32 a system that is nearly singular turns rounding into large steps, not small ones, and is not settled.
    """
    plan = at.plan(scaled)
    step = _bounded_step(plan, at, mass, bounded)
    moved = at.moved(step, torch.ones_like(at.mass), bounded=bounded)
    slopes = _slopes(moved.plan(scaled), mass)
    rows, columns = _free(moved, slopes, bounded)
    uneven = torch.maximum(
        (slopes.f * rows).abs().amax(1, keepdim=True) * scaled.shape[1],
        (slopes.g * columns).abs().amax(2, keepdim=True) * scaled.shape[2],
    )
    settled = _is_settled(plan, step) & (uneven < EVEN)
    return moved.or_else(settled, at), settled[:, 0, 0]


def _is_settled(plan: Tensor, step: _Potentials) -> Tensor:
    """Whether a problem is solved once this full step is taken, ``(b, 1, 1)``."""
    moves = (step.f + step.mass + step.g).mul_(plan).abs_().amax((1, 2), keepdim=True) * plan[0].numel()
    return (moves * step.furthest() < SETTLED) | (moves < STILL)


def _solve(scaled: Tensor, at: _Potentials, mass: float | int, bounded: bool) -> _Potentials:
    reach = scaled.new_full((len(scaled), 1, 1), 4.0)
    for _ in range(MOST_ROUNDS):
        at = _sweep(scaled, at, mass, bounded)
        plan = at.plan(scaled)
        step = _bounded_step(plan, at, mass, bounded)
        share = (reach / step.furthest()).clamp(max=1)
        there = at.moved(step, share, bounded=bounded)
        lower = _objective(there.plan(scaled), there, mass) <= _objective(plan, at, mass) + 1e-14
        at = there.or_else(lower, at)
        reach = torch.where(lower, reach * 2, reach / 4)
        if bool((lower & (share == 1) & _is_settled(plan, step)).all()):
            break
    return at


def _sweep(scaled: Tensor, at: _Potentials, mass: float | int, bounded: bool) -> _Potentials:
    n, m = scaled.shape[1:]
    f = -math.log(n) - at.mass - (scaled + at.g).logsumexp(2, keepdim=True)
    f = f.clamp(max=0) if bounded else f
    columns = (scaled + f).logsumexp(1, keepdim=True)
    g = -math.log(m) - at.mass - columns
    if not bounded:
        return _Potentials(f, g, at.mass)
    g = g.clamp(max=0)
    return _Potentials(f, g, math.log(mass) - (columns + g).logsumexp(2, keepdim=True))


def _objective(plan: Tensor, at: _Potentials, mass: float | int) -> Tensor:
    moved = plan.sum((1, 2), keepdim=True)
    return moved - at.f.mean(1, keepdim=True) - at.g.mean(2, keepdim=True) - mass * at.mass


def _slopes(plan: Tensor, mass: float | int) -> _Potentials:
    n, m = plan.shape[1:]
    rows, columns = plan.sum(2, keepdim=True), plan.sum(1, keepdim=True)
    return _Potentials(rows - 1 / n, columns - 1 / m, columns.sum(2, keepdim=True) - mass)


def _free(at: _Potentials, slopes: _Potentials, bounded: bool) -> tuple[Tensor, Tensor]:
    if bounded:
        return (at.f < 0) | (slopes.f > 0), (at.g < 0) | (slopes.g > 0)
    # f + t, g - t is the same plan: one column stays.
    return torch.ones_like(at.f, dtype=torch.bool), torch.arange(at.g.shape[2], device=at.g.device).expand_as(at.g) > 0


def _bounded_step(plan: Tensor, at: _Potentials, mass: float | int, bounded: bool) -> _Potentials:
    """The Newton step within the bounds, by a primal-dual active set (Hintermüller et al. 2003)."""
    slopes = _slopes(plan, mass)
    free = _free(at, slopes, bounded)
    if not bounded:
        return _newton_step(plan, slopes, free, None, bounded)
    onto = _Potentials(-at.f, -at.g, torch.zeros_like(at.mass))
    rows, columns = plan.sum(2, keepdim=True), plan.sum(1, keepdim=True)
    for _ in range(BOUND_PASSES):
        step = _newton_step(plan, slopes, free, onto, bounded)
        row_slopes = slopes.f + torch.bmm(plan, step.g.mT) + rows * (step.f + step.mass)
        column_slopes = slopes.g + torch.bmm(step.f.mT, plan) + columns * (step.g + step.mass)
        freed = (
            torch.where(free[0], at.f + step.f <= 0, row_slopes > 0),
            torch.where(free[1], at.g + step.g <= 0, column_slopes > 0),
        )
        if bool((freed[0] == free[0]).all() and (freed[1] == free[1]).all()):
            break
        free = freed
    return step


def _newton_step(
    plan: Tensor, slopes: _Potentials, free: tuple[Tensor, Tensor], onto: _Potentials | None, bounded: bool
) -> _Potentials:
    """Solves for the step of the free variables where the others move by ``onto``, or stay."""
    rows_free, columns_free = free
    m = plan.shape[2]
    # A row that is left out may have lost all its mass to underflow.
    rows = plan.sum(2, keepdim=True).clamp(min=torch.finfo(plan.dtype).tiny)
    matrix = _reduced_hessian(plan, rows, rows_free)
    right = torch.cat(
        [
            torch.bmm((slopes.f * rows_free / rows).mT, plan) - slopes.g,
            (slopes.f * rows_free).sum(1, keepdim=True) - slopes.mass,
        ],
        2,
    )
    free_too = torch.cat([columns_free, torch.full_like(columns_free[:, :, :1], bounded)], 2).to(plan)
    if onto is not None:
        given_rows = torch.where(rows_free, 0, onto.f)
        pushed = torch.bmm(given_rows.mT, plan)
        given = torch.cat([torch.where(columns_free, 0, onto.g), torch.zeros_like(onto.mass)], 2)
        right = right - torch.cat([pushed, pushed.sum(2, keepdim=True)], 2) - torch.bmm(given, matrix)
        right = right * free_too + given
    else:
        right = right * free_too
    matrix = matrix * free_too * free_too.mT
    matrix.diagonal(dim1=1, dim2=2).add_(RIDGE + 1 - free_too[:, 0])
    solved = torch.linalg.solve_ex(matrix, right.mT)[0]
    g, at_mass = solved[:, :m].mT, solved[:, m:]
    f = -(slopes.f + torch.bmm(plan, g.mT)) / rows - at_mass
    return _Potentials(torch.where(rows_free, f, 0 if onto is None else onto.f), g, at_mass)


def _reduced_hessian(plan: Tensor, rows: Tensor, rows_free: Tensor) -> Tensor:
    """The Hessian of columns and mass after the free rows are eliminated, ``(b, m + 1, m + 1)``."""
    b, _, m = plan.shape
    kept = plan * (rows_free / rows).sqrt()
    coupling = torch.bmm(kept.mT, kept)
    coupling.diagonal(dim1=1, dim2=2).zero_()
    leak = torch.bmm((~rows_free).to(plan).mT, plan)
    matrix = plan.new_zeros(b, m + 1, m + 1)
    matrix[:, :m, :m] = torch.diag_embed(coupling.sum(2) + leak[:, 0]) - coupling
    matrix[:, :m, m:], matrix[:, m:, :m], matrix[:, m:, m:] = leak.mT, leak, leak.sum(2, keepdim=True)
    return matrix
