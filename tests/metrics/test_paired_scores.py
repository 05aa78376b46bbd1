from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from med3dinsight.metrics.classification import METRICS, classification_scores
from med3dinsight.metrics.paired_scores import PairedPredictions, score_difference, score_interval, swap_test
from med3dinsight.metrics.statistics import bootstrap_interval, sign_flip_test


def draw(
    seed: int, *, cases: int = 24, seeds: int = 3, classes: int = 2, units: int | None = None
) -> PairedPredictions:
    """Ours is better than theirs; each case is a unit unless told."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(cases) % classes)
    sides = []
    for strength in (1.5, 0.7):
        raw = rng.normal(size=(seeds, cases, classes)).round(1)
        raw[:, np.arange(cases), truth] += strength
        sides.append(np.exp(raw) / np.exp(raw).sum(2, keepdims=True))
    owner = np.arange(cases) if units is None else np.sort(np.arange(cases) % units)
    return PairedPredictions(truth, sides[0], sides[1], owner)


def plainly(pairs: PairedPredictions, metric: str, rows: np.ndarray, seeds: np.ndarray | None = None) -> float:
    """The difference on some rows, by scoring each side."""
    numbers = range(pairs.num_seeds) if seeds is None else seeds
    values = []
    for number in numbers:
        ours, theirs = (
            classification_scores(side[number][rows], pairs.truth[rows])[metric]  # type: ignore[literal-required]
            for side in (pairs.ours, pairs.theirs)
        )
        values.append(np.nan if ours is None or theirs is None else ours - theirs)
    return float(np.mean(values))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("metric", METRICS)
def test_the_difference_is_that_of_the_scores_averaged_over_seeds(metric: str, classes: int) -> None:
    pairs = draw(1, classes=classes)
    assert score_difference(pairs, metric) == pytest.approx(plainly(pairs, metric, np.arange(24)))


@pytest.mark.parametrize(("metric", "classes"), [("auroc", 2), ("balanced_accuracy", 3)])
def test_the_interval_is_that_of_resampled_rows_scored_one_by_one(metric: str, classes: int) -> None:
    """The same bootstrap the slow way: rows of whole units, with repetitions; scipy's BCa over the units."""
    pairs = draw(2, cases=30, seeds=1, classes=classes)
    found = score_interval(pairs, metric, resamples=4000)

    def statistic(rows: np.ndarray) -> float:
        return round(plainly(pairs, metric, rows.astype(int)), 12)

    slow = stats.bootstrap(
        (np.arange(30),), statistic, n_resamples=500, method="BCa", vectorized=False, rng=np.random.default_rng(0)
    ).confidence_interval
    assert found.method == "BCa bootstrap over units"
    assert (found.low, found.high) == pytest.approx((slow.low, slow.high), abs=0.05)


def test_over_units_and_seeds_it_is_the_interval_of_the_mean_of_a_table() -> None:
    """The accuracy with one case a unit is such a mean."""
    pairs = draw(3, cases=40, seeds=4)
    right = [(side.argmax(2) == pairs.truth).astype(float) for side in (pairs.ours, pairs.theirs)]
    table = (right[0] - right[1]).T
    known = bootstrap_interval(table)
    found = score_interval(pairs, "accuracy")
    assert found.method == known.method == "BCa bootstrap over units x seeds"
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=0.02)


def test_all_cases_of_a_unit_are_drawn_together() -> None:
    """Ten copies of each case, said to be one unit, know no more than one."""
    single = draw(4, cases=20, seeds=1)
    rows = np.repeat(np.arange(20), 10)
    copies = PairedPredictions(single.truth[rows], single.ours[:, rows], single.theirs[:, rows], rows)
    for metric in METRICS:
        one, ten = score_interval(single, metric), score_interval(copies, metric)
        assert (ten.low, ten.high) == pytest.approx((one.low, one.high), abs=1e-9)
        assert swap_test(copies, metric) == swap_test(single, metric)
    apart = score_interval(replace(copies, unit_of=np.arange(200)), "accuracy")
    assert apart.high - apart.low < 0.5 * (one.high - one.low)


def test_draws_without_a_class_are_left_out_and_counted() -> None:
    pairs = draw(5, cases=8, seeds=2)
    found = score_interval(pairs, "auroc")
    assert "draws lacked a class and were left out" in found.method
    assert found.low <= score_difference(pairs, "auroc") <= found.high  # type: ignore[operator]
    lost = int(found.method.split("; ")[1].split()[0])
    assert lost == pytest.approx(9999 * 2 * 0.5**8, rel=0.25)


def test_where_leaving_one_out_leaves_no_class_the_percentiles_are_given_and_said() -> None:
    pairs = draw(6, cases=6, seeds=2)
    single = replace(pairs, truth=np.array([0, 0, 0, 0, 0, 1]))
    assert score_interval(single, "auroc").method.startswith("percentile bootstrap over units x seeds")


def test_few_or_equal_values_give_an_interval_that_claims_nothing() -> None:
    two = draw(7, cases=2, seeds=1)
    found = score_interval(two, "auroc")
    value = score_difference(two, "auroc")
    assert (found.low, found.high) == (min(value, 0), max(value, 0))  # type: ignore[type-var]
    assert "fewer than 3 values" in found.method
    same = draw(8)
    found = score_interval(replace(same, theirs=same.ours), "auroc")
    assert (found.low, found.high, found.method) == (0.0, 0.0, "all values equal")


@pytest.mark.parametrize("seed", range(6))
def test_for_the_accuracy_of_one_seed_it_is_the_exact_test_of_mcnemar(seed: int) -> None:
    pairs = draw(seed, cases=13, seeds=1)
    right = [(side[0].argmax(1) == pairs.truth) for side in (pairs.ours, pairs.theirs)]
    ours, theirs = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    expected = stats.binomtest(ours, ours + theirs).pvalue if ours + theirs else 1.0
    found = swap_test(pairs, "accuracy")
    assert (found.p_value, found.test) == (pytest.approx(expected), "swap permutation, exact")


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("metric", METRICS)
def test_swaps_are_those_of_the_predictions_of_whole_units(metric: str, classes: int) -> None:
    """The slow way: every swap of the five units, both sides scored anew."""
    pairs = draw(9, cases=15, seeds=2, classes=classes, units=5)
    value = plainly(pairs, metric, np.arange(15))
    hits = 0
    for number in range(32):
        swap = np.array([(number >> unit) & 1 for unit in range(5)], dtype=bool)[pairs.unit_of][None, :, None]
        swapped = replace(
            pairs, ours=np.where(swap, pairs.theirs, pairs.ours), theirs=np.where(swap, pairs.ours, pairs.theirs)
        )
        hits += abs(plainly(swapped, metric, np.arange(15))) >= abs(value) - 1e-9
    assert swap_test(pairs, metric).p_value == pytest.approx(hits / 32)


def test_many_units_are_sampled_and_agree_with_flips_of_signs() -> None:
    pairs = draw(10, cases=60, seeds=3)
    right = [(side.argmax(2) == pairs.truth).astype(float) for side in (pairs.ours, pairs.theirs)]
    found, known = swap_test(pairs, "accuracy"), sign_flip_test((right[0] - right[1]).T)
    assert found.test == "swap permutation, 9999 samples"
    assert found.p_value == pytest.approx(known.p_value, abs=0.02)


def test_under_no_difference_p_is_uniform() -> None:
    values = []
    for seed in range(120):
        pairs = draw(seed, cases=10, seeds=1)
        rng = np.random.default_rng(seed)
        swap = rng.integers(0, 2, 10).astype(bool)[None, :, None]
        mixed = replace(
            pairs, ours=np.where(swap, pairs.theirs, pairs.ours), theirs=np.where(swap, pairs.ours, pairs.theirs)
        )
        values.append(swap_test(mixed, "auroc").p_value)
    assert np.mean(np.array(values) <= 0.05) <= 0.1
    assert 0.4 < np.mean(values) < 0.7


def test_an_undefined_difference_is_none_and_has_no_statistics() -> None:
    pairs = replace(draw(11), truth=np.zeros(24, dtype=np.int64))
    assert score_difference(pairs, "auroc") is None
    assert score_difference(pairs, "balanced_accuracy") is not None
    for function in (score_interval, swap_test):
        with pytest.raises(ValueError, match="auroc of these predictions is undefined"):
            function(pairs, "auroc")
