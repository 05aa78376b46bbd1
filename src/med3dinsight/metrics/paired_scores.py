"""Statistics of the difference of two classifiers in a score of the whole set of cases, such as the AUROC.

Such a score is no mean over cases, so that there is no table of differences to average: whole units (a person; within
one person: a case) are drawn, or swap the two classifiers' predictions, and the score is computed anew each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr, ndtri

from .statistics import Interval, PairedTest

#: Swaps of up to this number of units are counted out one by one, beyond it a sample of them.
_EXACT_UNITS = 13
_RESAMPLES = 9999
_AT_ONCE = 1000
#: Differences are rounded: the bias correction counts ties, and last digits are chance.
_DIGITS = 12


@dataclass(frozen=True)
class PairedPredictions:
    """What two classifiers said of the same cases, with the same seeds.

    Attributes:
        truth: Class index of each case.
        ours, theirs: Probabilities, ``(seeds, cases, classes)``.
        unit_of: For each case the number of its unit, 0 to units - 1, each of which occurs.
    """

    truth: Int[np.ndarray, " cases"]
    ours: Float[np.ndarray, "seeds cases classes"]
    theirs: Float[np.ndarray, "seeds cases classes"]
    unit_of: Int[np.ndarray, " cases"]

    @property
    def num_units(self) -> int:
        """Number of units."""
        return int(self.unit_of.max()) + 1

    @property
    def num_seeds(self) -> int:
        """Number of seeds."""
        return len(self.ours)


Weights = Float[np.ndarray, "resamples cases"]
Differences = Float[np.ndarray, " resamples"]


def score_difference(pairs: PairedPredictions, metric: str) -> float | None:
    """Returns ours minus theirs, the mean over the seeds; None where the score is undefined.

    Args:
        pairs: The predictions.
        metric: A name of :data:`med3dinsight.metrics.classification.METRICS`.

    Example:
        >>> ours = np.array([[[0.9, 0.1], [0.2, 0.8]]])
        >>> score_difference(PairedPredictions(np.array([0, 1]), ours, ours[:, ::-1], np.array([0, 1])), "auroc")
        1.0
    """
    value = float(_by_seed(pairs, metric, np.ones((1, len(pairs.truth)))).mean())
    return None if math.isnan(value) else value


def score_interval(pairs: PairedPredictions, metric: str, *, seed: int = 0, resamples: int = _RESAMPLES) -> Interval:
    """Computes a 95 % bootstrap interval of the difference over units x seeds.

    Units and seeds are drawn with replacement, independently of each other, and both classifiers are scored on the
    same draw (the pigeonhole bootstrap of :func:`med3dinsight.metrics.statistics.bootstrap_interval`); the ends are
    the BCa percentiles (Efron, JASA 1987) with the acceleration of the jackknife over units and seeds. Draws in
    which the score is undefined, since a class is missing, are left out, and ``method`` says how many.

    Where BCa says nothing the interval is still two finite numbers: with fewer than three values of unit and seed
    the difference and 0; with equal draws that value, twice; where leaving a unit out leaves a class without cases,
    the percentiles of the same draws.

    Raises:
        ValueError: The difference is undefined.
    """
    value = score_difference(pairs, metric)
    if value is None:
        raise ValueError(f"the {metric} of these predictions is undefined")
    units, seeds = pairs.num_units, pairs.num_seeds
    if units * seeds < 3:
        return Interval(min(value, 0.0), max(value, 0.0), "range of the difference and 0 (fewer than 3 values)")
    generator = np.random.default_rng(seed)
    draws = generator.multinomial(units, np.full(units, 1 / units), resamples)
    of_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), resamples) / seeds
    found = (_by_seed(pairs, metric, draws[:, pairs.unit_of].astype(float)) * of_seeds).sum(1).round(_DIGITS)
    defined = found[~np.isnan(found)]
    if np.ptp(defined) < 1e-9:
        return Interval(float(defined[0]), float(defined[0]), "all values equal")
    levels = _bca_levels(pairs, metric, round(value, _DIGITS), defined)
    low, high = np.quantile(defined, (0.025, 0.975) if levels is None else levels)
    drawn = "units x seeds" if units > 1 and seeds > 1 else "units" if seeds == 1 else "seeds"
    method = f"{'percentile' if levels is None else 'BCa'} bootstrap over {drawn}"
    if lost := len(found) - len(defined):
        method += f"; {lost} of {resamples} draws lacked a class and were left out"
    return Interval(float(low), float(high), method)


def _bca_levels(pairs: PairedPredictions, metric: str, value: float, draws: Differences) -> tuple[float, float] | None:
    """Returns the quantiles of the draws that are the ends; None where BCa is undefined."""
    below = (np.count_nonzero(draws < value) + np.count_nonzero(draws <= value)) / (2 * len(draws))
    leave_out = 1.0 - np.eye(pairs.num_units)
    by_unit = _by_seed(pairs, metric, leave_out[:, pairs.unit_of]).mean(1) if pairs.num_units > 1 else np.zeros(0)
    per_seed = _by_seed(pairs, metric, np.ones((1, len(pairs.truth))))[0]
    by_seed = (per_seed.sum() - per_seed) / (len(per_seed) - 1) if len(per_seed) > 1 else np.zeros(0)
    cubes = squares = 0.0
    for left_out in (by_unit, by_seed):
        if len(left_out):
            influence = (1 - 1 / len(left_out)) * (left_out.mean() - left_out)
            cubes, squares = cubes + (influence**3).sum(), squares + (influence**2).sum()
    if not (0 < below < 1 and squares > 0 and math.isfinite(cubes)):
        return None
    bias, acceleration = ndtri(below), cubes / (6 * squares**1.5)
    ends = [ndtr(bias + (bias + end) / (1 - acceleration * (bias + end))) for end in ndtri([0.025, 0.975])]
    return float(ends[0]), float(ends[1])


def swap_test(pairs: PairedPredictions, metric: str, *, seed: int = 0, resamples: int = _RESAMPLES) -> PairedTest:
    """Tests whether the two classifiers can be told apart, by swapping the predictions of whole units.

    ``p = share of all swaps whose difference is at least as large as the one found``, in size; a unit swaps its
    cases in all seeds together. Exact up to 13 units, beyond it by a random sample with
    ``(1 + hits) / (1 + resamples)``. For the accuracy, one seed and one case a unit this is McNemar's exact test.

    Raises:
        ValueError: The difference is undefined.
    """
    value = score_difference(pairs, metric)
    if value is None:
        raise ValueError(f"the {metric} of these predictions is undefined")
    units = pairs.num_units
    exact = units <= _EXACT_UNITS
    if exact:
        swaps = (np.arange(2**units)[:, None] >> np.arange(units)) & 1
    else:
        swaps = np.random.default_rng(seed).integers(0, 2, (resamples, units))
    swapped = swaps[:, pairs.unit_of].astype(float)
    found = _by_seed(pairs, metric, np.ones_like(swapped), swapped).mean(1)
    # Differences that differ by rounding only are ties.
    hits = int(np.count_nonzero(np.abs(found) >= abs(value) - 1e-9))
    if exact:
        return PairedTest(hits / len(swaps), "swap permutation, exact")
    return PairedTest((1 + hits) / (1 + resamples), f"swap permutation, {resamples} samples")


def _by_seed(
    pairs: PairedPredictions, metric: str, weights: Weights, swapped: Weights | None = None
) -> Float[np.ndarray, "resamples seeds"]:
    """Returns the differences, each with its own weights and swaps (0 or 1) of the cases; NaN where undefined."""
    swapped = np.zeros_like(weights) if swapped is None else swapped
    parts = [
        np.stack(
            [
                _DIFFERENCES[metric](pairs.truth, ours, theirs, weights[start:end], swapped[start:end])
                for ours, theirs in zip(pairs.ours, pairs.theirs, strict=True)
            ],
            axis=1,
        )
        for start in range(0, len(weights), _AT_ONCE)
        for end in (start + _AT_ONCE,)
    ]
    return np.concatenate(parts)


Predictions = Float[np.ndarray, "cases classes"]
Truth = Int[np.ndarray, " cases"]


def _accuracy(truth: Truth, ours: Predictions, theirs: Predictions, weights: Weights, swapped: Weights) -> Differences:
    gain = (ours.argmax(1) == truth).astype(float) - (theirs.argmax(1) == truth)
    return ((weights * (1 - 2 * swapped)) @ gain) / weights.sum(1)


def _balanced_accuracy(
    truth: Truth, ours: Predictions, theirs: Predictions, weights: Weights, swapped: Weights
) -> Differences:
    gain = (ours.argmax(1) == truth).astype(float) - (theirs.argmax(1) == truth)
    total, present = np.zeros(len(weights)), np.zeros(len(weights))
    for index in np.unique(truth):
        mine = truth == index
        amount = weights[:, mine].sum(1)
        share = ((weights[:, mine] * (1 - 2 * swapped[:, mine])) @ gain[mine]) / np.maximum(amount, 1)
        total, present = total + share, present + (amount > 0)
    return total / present


def _auroc(truth: Truth, ours: Predictions, theirs: Predictions, weights: Weights, swapped: Weights) -> Differences:
    """The difference of the shares of pairs in the right order.

    With ``u`` the weights of cases that keep their predictions, ``v`` of those that swap, ``D = K(ours, ours) -
    K(theirs, theirs)`` and ``E = K(ours, theirs) - K(theirs, ours)``, where ``K(a, b)`` says of each positive and
    negative case whether ``a`` of the one is above ``b`` of the other, it is ``u D u + u E v - v E u - v D v``.
    """
    count = ours.shape[1]
    total = np.zeros(len(weights))
    for index in range(count) if count > 2 else [1]:
        yes, no = truth == index, truth != index
        a, b = ours[:, index], theirs[:, index]
        same = _above(a[yes], a[no]) - _above(b[yes], b[no])
        crossed = _above(a[yes], b[no]) - _above(b[yes], a[no])
        keep, swap = weights * (1 - swapped), weights * swapped
        found = _pairs(keep[:, yes], same, keep[:, no]) - _pairs(swap[:, yes], same, swap[:, no])
        found += _pairs(keep[:, yes], crossed, swap[:, no]) - _pairs(swap[:, yes], crossed, keep[:, no])
        amount = weights[:, yes].sum(1) * weights[:, no].sum(1)
        total += np.where(amount > 0, found / np.maximum(amount, 1), np.nan)
    return total / (count if count > 2 else 1)


def _above(one: Float[np.ndarray, " n"], other: Float[np.ndarray, " m"]) -> Float[np.ndarray, "n m"]:
    return (np.sign(one[:, None] - other[None, :]) + 1) / 2


def _pairs(
    one: Float[np.ndarray, "r n"], matrix: Float[np.ndarray, "n m"], other: Float[np.ndarray, "r m"]
) -> Differences:
    return np.einsum("rm,rm->r", one @ matrix, other)


_DIFFERENCES: dict[str, Callable[[Truth, Predictions, Predictions, Weights, Weights], Differences]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "auroc": _auroc,
}
