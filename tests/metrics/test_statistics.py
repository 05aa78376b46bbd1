from __future__ import annotations

import itertools
import math

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from med3dinsight.metrics.statistics import bootstrap_interval, holm, sign_flip_test

Table = NDArray[np.float64]
tables = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 5), st.integers(1, 4)),
    elements=st.floats(-10, 10).map(lambda value: round(value, 2)),
)


def two_way_table(rng: np.random.Generator, units: int, seeds: int, mean: float = 0.0) -> Table:
    """Differences with an effect of the unit, of the seed, and noise."""
    effects = rng.normal(size=(units, 1)) + 0.5 * rng.normal(size=(1, seeds)) + 0.3 * rng.normal(size=(units, seeds))
    return np.asarray(mean + effects)


@settings(max_examples=30)
@given(tables)
def test_an_interval_is_always_two_finite_numbers_in_order(table: Table) -> None:
    interval = bootstrap_interval(table, resamples=199)
    assert math.isfinite(interval.low) and math.isfinite(interval.high)
    assert interval.low <= interval.high
    assert min(table.min(), 0) - 1e-9 <= interval.low and interval.high <= max(table.max(), 0) + 1e-9


def test_one_seed_gives_the_bca_interval_worked_out_by_hand() -> None:
    values = np.array([0.02, -0.01, 0.05, 0.11, 0.03, -0.04, 0.07, 0.20])
    ours = bootstrap_interval(values[:, None], resamples=20_000)
    # Efron & Tibshirani 1993, eq. 14.9 to 14.15, with resamples of our own.
    draws = np.random.default_rng(5).choice(values, size=(20_000, len(values))).mean(axis=1)
    bias = stats.norm.ppf((np.mean(draws < values.mean()) + np.mean(draws <= values.mean())) / 2)
    left_out = np.array([np.delete(values, place).mean() for place in range(len(values))])
    gaps = left_out.mean() - left_out
    acceleration = (gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5)
    z = bias + stats.norm.ppf([0.025, 0.975])
    ends = np.quantile(draws, stats.norm.cdf(bias + z / (1 - acceleration * z)))
    assert (ours.low, ours.high) == pytest.approx(tuple(ends), abs=0.003)
    assert ours.method == "BCa bootstrap over units"


def test_units_and_seeds_are_both_resampled() -> None:
    table = two_way_table(np.random.default_rng(1), 12, 5)
    ours = bootstrap_interval(table, resamples=4000)
    rng = np.random.default_rng(2)
    means = [table[rng.integers(0, 12, 12)][:, rng.integers(0, 5, 5)].mean() for _ in range(4000)]
    width = np.subtract(*np.quantile(means, [0.975, 0.025]))
    assert ours.high - ours.low == pytest.approx(width, rel=0.1)
    assert ours.method == "BCa bootstrap over units x seeds"
    units_only = bootstrap_interval(table.mean(axis=1, keepdims=True), resamples=4000)
    assert ours.high - ours.low > 1.05 * (units_only.high - units_only.low)


def test_the_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(150):
        interval = bootstrap_interval(two_way_table(rng, 15, 6, mean=1.0), resamples=499)
        hits += interval.low <= 1.0 <= interval.high
    assert 0.85 <= hits / 150 <= 1.0


def test_the_interval_moves_and_turns_with_the_values() -> None:
    table = two_way_table(np.random.default_rng(3), 9, 3)
    plain, moved, turned = (bootstrap_interval(values) for values in (table, 2 * table + 5, -table))
    assert (moved.low, moved.high) == pytest.approx((2 * plain.low + 5, 2 * plain.high + 5))
    assert (turned.low, turned.high) == pytest.approx((-plain.high, -plain.low), abs=0.05)


def test_the_same_seed_gives_the_same_interval() -> None:
    table = two_way_table(np.random.default_rng(3), 6, 3)
    assert bootstrap_interval(table, seed=1) == bootstrap_interval(table, seed=1)
    assert bootstrap_interval(table, seed=1) != bootstrap_interval(table, seed=2)


@pytest.mark.parametrize(
    ("table", "ends", "method"),
    [
        ([[0.3]], (0.0, 0.3), "fewer than 3"),
        ([[-0.3, -0.1]], (-0.3, 0.0), "fewer than 3"),
        ([[0.2], [-0.1]], (-0.1, 0.2), "fewer than 3"),
        ([[0.1, 0.1], [0.1, 0.1]], (0.1, 0.1), "all values equal"),
        ([[0.0], [0.0], [0.0]], (0.0, 0.0), "all values equal"),
        ([[1.0, -1.0], [-1.0, 1.0]], (-1.0, 1.0), "percentile bootstrap over units x seeds"),
    ],
)
def test_degenerate_differences_get_an_interval_that_says_how(
    table: list[list[float]], ends: tuple[float, float], method: str
) -> None:
    interval = bootstrap_interval(np.array(table))
    assert (interval.low, interval.high) == pytest.approx(ends)
    assert method in interval.method


def test_one_unit_is_resampled_over_its_seeds() -> None:
    interval = bootstrap_interval(np.array([[0.1, 0.2, 0.4]]))
    assert interval.method == "BCa bootstrap over seeds"
    assert 0.1 <= interval.low < 0.7 / 3 < interval.high <= 0.4 + 1e-9


@pytest.mark.parametrize("units", [2, 5, 9])
def test_the_exact_sign_flip_test_equals_scipys(units: int) -> None:
    values = np.random.default_rng(units).normal(0.4, 1, units)
    ours = sign_flip_test(values[:, None])
    theirs = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert ours.p_value == pytest.approx(theirs.pvalue)
    assert ours.test == "sign-flip permutation, exact"


@given(hnp.arrays(np.float64, st.integers(1, 7), elements=st.sampled_from([-0.3, -0.1, 0.0, 0.1, 0.2, 0.3])))
def test_sums_that_tie_count_as_ties(values: Table) -> None:
    whole = np.rint(values * 10).astype(int)
    flips = [abs(int(np.dot(signs, whole))) for signs in itertools.product((1, -1), repeat=len(whole))]
    expected = sum(total >= abs(whole.sum()) for total in flips) / len(flips)
    assert sign_flip_test(values[:, None]).p_value == pytest.approx(expected)


def test_many_units_are_sampled_near_the_exact_p_value() -> None:
    values = np.random.default_rng(4).normal(0.45, 1, 16)
    ours = sign_flip_test(values[:, None])
    theirs = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert ours.p_value == pytest.approx(theirs.pvalue, abs=4 * math.sqrt(theirs.pvalue / 9999))
    assert ours.test == "sign-flip permutation, 9999 samples"


def test_seeds_are_averaged_before_signs_are_flipped() -> None:
    table = np.array([[1.0, 3.0], [2.0, 2.0], [-1.0, 5.0]])
    assert sign_flip_test(table) == sign_flip_test(table.mean(axis=1, keepdims=True))


def test_one_unit_never_gives_evidence() -> None:
    assert sign_flip_test(np.array([[5.0, 6.0, 7.0]])).p_value == 1.0


@pytest.mark.parametrize("table", [np.empty((0, 2)), np.array([[np.nan]]), np.array([[np.inf, 1.0]])])
def test_tables_without_finite_values_are_refused(table: Table) -> None:
    for statistic in (bootstrap_interval, sign_flip_test):
        with pytest.raises(ValueError, match="finite"):
            statistic(table)


def test_holm_adjusts_the_textbook_example() -> None:
    # R: p.adjust(c(0.01, 0.04, 0.03, 0.005), method = "holm")
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_rejects_what_the_step_down_procedure_rejects(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(raw <= new <= 1 for raw, new in zip(p_values, adjusted, strict=True))
    level, rejected = 0.05, set()
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if (len(p_values) - rank) * p_values[index] > level:
            break
        rejected.add(index)
    assert {index for index, value in enumerate(adjusted) if value <= level} == rejected
