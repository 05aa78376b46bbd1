"""Windows and the guess of the modality."""

from __future__ import annotations

import numpy as np
import pytest

from med3dinsight.errors import InputError
from med3dinsight.volumes.intensity import IntensityRules, choose_window, guess_modality, to_uint8

CT = (-1000.0, 1000.0)


def window(scan, modality, **changes):
    """Low and high."""
    chosen = choose_window(scan, modality, IntensityRules(**changes))
    return chosen.low, chosen.high


def rule(scan, modality, **changes):
    return choose_window(scan, modality, IntensityRules(**changes)).rule


def test_ct_gets_the_fixed_window_whatever_it_holds():
    scan = np.linspace(-2048, 3000, 1000).reshape(10, 10, 10)
    assert window(scan, "ct") == CT


def test_mr_gets_its_own_percentiles():
    scan = np.random.default_rng(0).gamma(2, 100, (40, 40, 40))
    low, high = window(scan, "mr", mr_percentiles=(1, 99))
    assert ((scan < low).mean(), (scan > high).mean()) == pytest.approx((0.01, 0.01), abs=1e-4)


def test_percentiles_of_a_large_scan_are_taken_from_a_part_that_stands_for_it():
    scan = np.random.default_rng(0).normal(500, 100, (256, 256, 80)).astype(np.float32)
    assert window(scan, "mr", mr_percentiles=(1, 99)) == pytest.approx(np.percentile(scan, (1, 99)), abs=2)


def test_a_scan_that_is_nearly_all_background_still_has_a_window():
    scan = np.zeros((20, 20, 20))
    scan[3, 3, 3] = 9
    assert window(scan, "mr") == (0, 9)


def test_a_scan_with_one_value_is_refused():
    with pytest.raises(InputError, match="same value"):
        window(np.full((4, 4, 4), 7), "mr")


def test_air_makes_a_ct():
    rng = np.random.default_rng(0)
    chest = rng.normal(40, 20, (20, 20, 20))
    assert guess_modality(chest) == "mr"
    chest[:4] = -1000
    assert guess_modality(chest) == "ct"
    assert guess_modality(rng.gamma(2, 100, (20, 20, 20))) == "mr"


def test_levels_are_rounded_and_clipped():
    assert to_uint8(np.array([-1e-7, 0.001, 0.003, 0.998, 1.0000002], dtype=np.float32)).tolist() == [0, 0, 1, 254, 255]


def test_z_scores_are_taken_over_what_is_brighter_than_the_mean():
    rng = np.random.default_rng(0)
    scan = rng.normal(20, 5, (30, 30, 30))
    head = rng.normal(400, 50, (15, 30, 30))
    scan[:15] = head
    low, high = window(scan, "mr", mr_normalisation="zscore", zscore_range=2.0)
    assert (low, high) == pytest.approx((head.mean() - 2 * head.std(), head.mean() + 2 * head.std()), rel=1e-3)
    assert rule(scan, "mr", mr_normalisation="zscore") == "zscore"
    hounsfield = scan - 500
    assert rule(hounsfield, "ct", mr_normalisation="zscore") == "hu"


def test_a_foreground_of_one_value_still_has_a_window():
    scan = np.zeros((4, 4, 4))
    scan[0] = 7
    assert window(scan, "mr", mr_normalisation="zscore") == (0, 7)


NOISE = np.random.default_rng(1).normal(size=(20, 20, 20))
MASKED = np.where(np.indices(NOISE.shape)[0] < 5, 0, NOISE)
BYTES = np.random.default_rng(2).integers(0, 256, (20, 20, 20))


@pytest.mark.parametrize("modality", ["ct", "mr"])
@pytest.mark.parametrize(
    ("scan", "kept", "expected"),
    [
        (BYTES.astype(np.uint8), (0, 255), "kept 0..255"),
        (BYTES.astype(np.int16), (0, 255), "kept 0..255"),
        (BYTES.astype(np.float32), (0, 255), "kept 0..255"),
        ((BYTES / 255).astype(np.float32), (0, 1), "kept 0..1"),
        (NOISE.astype(np.float32), (-3, 3), "kept z-scores"),
        (MASKED, (-3, 3), "kept z-scores"),
    ],
)
def test_what_was_normalised_before_is_kept(scan, kept, expected, modality):
    chosen = choose_window(scan, modality, IntensityRules())
    assert ((chosen.low, chosen.high), chosen.rule) == (kept, expected)
    assert rule(scan, modality, notice_normalised=False) == ("hu" if modality == "ct" else "percentile")


@pytest.mark.parametrize(
    "scan",
    [
        np.arange(-1024, 1024, dtype=np.int16).reshape(8, 16, 16),
        np.linspace(-100, 300, 4096).reshape(16, 16, 16),  # soft tissue without air
        np.arange(-10, 246, dtype=np.int16).reshape(4, 8, 8),
    ],
)
def test_hounsfield_units_get_the_fixed_window(scan):
    assert (window(scan, "ct"), rule(scan, "ct")) == (CT, "hu")


def test_ct_without_a_value_below_zero_is_no_hu():
    stored = np.random.default_rng(0).integers(0, 3000, (20, 20, 20)).astype(np.int16)  # the intercept was lost
    assert rule(stored, "ct") == "percentile"
    assert window(stored, "ct", notice_normalised=False) == CT


def test_mr_that_happens_to_be_dark_is_not_taken_for_normalised():
    dark = np.random.default_rng(0).integers(0, 120, (20, 20, 20))
    assert rule(dark.astype(np.uint8), "mr") == "percentile"
    assert rule(dark.astype(np.int16), "mr") == "percentile"
    assert rule(np.random.default_rng(0).normal(0, 40, (20, 20, 20)), "mr") == "percentile"
