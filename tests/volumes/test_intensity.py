"""Windows and the guess of the modality."""

from __future__ import annotations

import numpy as np
import pytest

from med3dinsight.errors import InputError
from med3dinsight.volumes.intensity import guess_modality, intensity_window, to_uint8

CT, MR = (-1000.0, 1000.0), (0.5, 99.5)


def test_ct_gets_the_fixed_window_whatever_it_holds():
    scan = np.linspace(-2048, 3000, 1000).reshape(10, 10, 10)
    assert intensity_window(scan, "ct", CT, MR) == CT


def test_mr_gets_its_own_percentiles():
    scan = np.random.default_rng(0).gamma(2, 100, (40, 40, 40))
    low, high = intensity_window(scan, "mr", CT, (1, 99))
    assert ((scan < low).mean(), (scan > high).mean()) == pytest.approx((0.01, 0.01), abs=1e-4)


def test_percentiles_of_a_large_scan_are_taken_from_a_part_that_stands_for_it():
    scan = np.random.default_rng(0).normal(500, 100, (256, 256, 80)).astype(np.float32)
    assert intensity_window(scan, "mr", CT, (1, 99)) == pytest.approx(np.percentile(scan, (1, 99)), abs=2)


def test_a_scan_that_is_nearly_all_background_still_has_a_window():
    scan = np.zeros((20, 20, 20))
    scan[3, 3, 3] = 9
    assert intensity_window(scan, "mr", CT, MR) == (0, 9)


def test_a_scan_with_one_value_is_refused():
    with pytest.raises(InputError, match="same value"):
        intensity_window(np.full((4, 4, 4), 7), "mr", CT, MR)


def test_air_makes_a_ct():
    rng = np.random.default_rng(0)
    chest = rng.normal(40, 20, (20, 20, 20))
    assert guess_modality(chest) == "mr"
    chest[:4] = -1000
    assert guess_modality(chest) == "ct"
    assert guess_modality(rng.gamma(2, 100, (20, 20, 20))) == "mr"


def test_levels_are_rounded_and_clipped():
    assert to_uint8(np.array([-1e-7, 0.001, 0.003, 0.998, 1.0000002], dtype=np.float32)).tolist() == [0, 0, 1, 254, 255]
