from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from med3dinsight.training.augmentation import contrast_curve


@given(seed=st.integers(0, 10_000), strength=st.floats(0, 1))
def test_a_curve_keeps_the_order_of_intensities_and_both_ends(seed: int, strength: float) -> None:
    curve = contrast_curve(np.random.default_rng(seed), strength)
    assert curve.shape == (256,)
    assert curve.dtype == np.float32
    assert (np.diff(curve) >= 0).all()
    assert curve[0] == 0
    assert abs(curve[-1] - 1) < 1e-6


def test_strength_0_is_the_identity_and_1_the_drawn_curve() -> None:
    levels = np.arange(256) / 255
    assert np.allclose(contrast_curve(np.random.default_rng(0), 0.0), levels)
    half, full = (contrast_curve(np.random.default_rng(0), strength) for strength in (0.5, 1.0))
    assert np.allclose(half, (levels + full) / 2, atol=1e-6)
    assert np.abs(full - levels).max() > 0.05


def test_two_draws_are_two_curves() -> None:
    rng = np.random.default_rng(0)
    assert np.abs(contrast_curve(rng, 1.0) - contrast_curve(rng, 1.0)).max() > 0.01
