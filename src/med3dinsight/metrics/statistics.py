"""Statistics of paired differences: an interval, a p-value, and their adjustment for many questions.

Every function takes the differences as a table ``(units, seeds)``: one row a unit (a person; within one
person: a case), one column a training seed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

#: Sign flips up to this number of units are counted out one by one, beyond it a sample of them.
_EXACT_UNITS = 13
_RESAMPLES = 9999
#: Digits of a resampled mean that count, where the largest difference is 1.
_DIGITS = 12


@dataclass(frozen=True)
class Interval:
    """A 95 % interval of a mean difference.

    Attributes:
        low, high: Its ends, always finite.
        method: How it came about, in words.
    """

    low: float
    high: float
    method: str


@dataclass(frozen=True)
class PairedTest:
    """A two-sided test of "no difference".

    Attributes:
        p_value: 0 < p <= 1.
        test: Name of the test, in words.
    """

    p_value: float
    test: str


def bootstrap_interval(
    differences: Float[np.ndarray, "units seeds"], *, seed: int = 0, resamples: int = _RESAMPLES
) -> Interval:
    """Computes a 95 % bootstrap interval of the mean difference over units x seeds.

    Rows and columns are drawn with replacement, independently of each other (Owen, "The pigeonhole bootstrap",
    Annals of Applied Statistics 2007), since a unit keeps its difficulty in all seeds and a seed its luck in all
    units: ``theta* = mean of D[rows*, columns*]``. The ends are the BCa percentiles (Efron, "Better bootstrap
    confidence intervals", JASA 1987), by ``scipy.stats.bootstrap`` with two independent samples of indices. A
    table of one row or column is resampled along the other axis only.

    Where BCa says nothing the interval is still two finite numbers, and ``method`` says how:

    - fewer than three values: the range of the values and 0, so that it never excludes "no difference";
    - all values equal: that value, twice;
    - BCa undefined (no unit or seed moves the mean): the percentile interval of the same resamples.

    Args:
        differences: Finite differences, at least one.
        seed: Seed of the resampling.
        resamples: Number of resamples.

    Raises:
        ValueError: The table is empty or holds a value that is not finite.

    Example:
        >>> bootstrap_interval(np.array([[0.1]]))
        Interval(low=0.0, high=0.1, method='range of the values and 0 (fewer than 3 values)')
    """
    table = _checked(differences)
    low, high = float(table.min()), float(table.max())
    if table.size < 3:
        return Interval(min(low, 0.0), max(high, 0.0), "range of the values and 0 (fewer than 3 values)")
    if math.isclose(low, high, rel_tol=1e-9, abs_tol=1e-12):
        return Interval(low, high, "all values equal")
    scale = float(np.abs(table).max())
    samples, statistic, drawn = _resampling(table / scale)
    with warnings.catch_warnings():
        # scipy warns where BCa is undefined; that case is answered below.
        warnings.simplefilter("ignore")
        for method in ("BCa", "percentile"):
            generator = np.random.default_rng(seed)
            result = stats.bootstrap(
                samples, statistic, n_resamples=resamples, method=method, vectorized=True, rng=generator, batch=1000
            )
            ends = result.confidence_interval
            if math.isfinite(ends.low) and math.isfinite(ends.high):
                break
    return Interval(scale * float(ends.low), scale * float(ends.high), f"{method} bootstrap over {drawn}")


def _resampling(table: np.ndarray) -> tuple[tuple[np.ndarray, ...], Callable[..., Any], str]:
    """Returns what scipy resamples, the statistic of it, and what that is in words.

    Means are rounded, since BCa counts ties with the mean itself, and their last digits are chance.
    """
    if 1 in table.shape:
        drawn = "seeds" if len(table) == 1 else "units"
        return (table.reshape(-1),), lambda values, axis: values.mean(axis).round(_DIGITS), drawn

    def mean_of(rows: np.ndarray, columns: np.ndarray, axis: int) -> Any:
        block = table[rows.astype(int)[..., :, None], columns.astype(int)[..., None, :]]
        return block.mean(axis=(-2, -1)).round(_DIGITS)

    return tuple(np.arange(size) for size in table.shape), mean_of, "units x seeds"


def sign_flip_test(
    differences: Float[np.ndarray, "units seeds"], *, seed: int = 0, resamples: int = _RESAMPLES
) -> PairedTest:
    """Tests whether the differences are symmetric about 0, by flipping the signs of whole units.

    With ``d_i`` the mean of unit i over the seeds, ``p = share of all sign vectors s in {-1, 1}^n with
    |sum s_i d_i| >= |sum d_i|`` (Fisher's randomisation test for pairs, "The design of experiments", 1935): exact
    up to 13 units, beyond it by a random sample with ``(1 + hits) / (1 + resamples)``. The smallest p that n units
    can give is ``2 / 2^n``: fewer than six units never reach 0.05, and one unit always gives 1.

    Args:
        differences: Finite differences, at least one.
        seed: Seed of the sample of sign vectors.
        resamples: Size of that sample.

    Raises:
        ValueError: The table is empty or holds a value that is not finite.

    Example:
        >>> sign_flip_test(np.array([[1.0], [2.0], [3.0]])).p_value
        0.25
    """
    means = _checked(differences).mean(axis=1)
    exact = len(means) <= _EXACT_UNITS
    if exact:
        signs = 1 - 2 * ((np.arange(2 ** len(means))[:, None] >> np.arange(len(means))) & 1)
    else:
        signs = np.random.default_rng(seed).choice(np.array([-1, 1]), size=(resamples, len(means)))
    # Sums that differ by rounding only are ties.
    hits = int(np.count_nonzero(np.abs(signs @ means) >= abs(means.sum()) - 1e-9 * np.abs(means).sum()))
    if exact:
        return PairedTest(hits / len(signs), "sign-flip permutation, exact")
    return PairedTest((1 + hits) / (1 + resamples), f"sign-flip permutation, {resamples} samples")


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusts p-values for their number by Holm's step-down method (Scand. J. Statistics 1979).

    With ``p_(1) <= ... <= p_(m)``: ``adjusted_(k) = max over j <= k of min(1, (m - j + 1) p_(j))``.

    Returns:
        Adjusted p-values in the order given.

    Example:
        >>> holm([0.04, 0.01, 0.5])
        [0.08, 0.03, 0.5]
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda item: p_values[item])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def _checked(differences: Float[np.ndarray, "units seeds"]) -> Float[np.ndarray, "units seeds"]:
    if not differences.size or not np.isfinite(differences).all():
        raise ValueError("differences must be a table of finite values with at least one unit and one seed")
    return differences
