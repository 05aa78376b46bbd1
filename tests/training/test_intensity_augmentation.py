from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from med3dinsight.training.intensity_augmentation import IntensityPlan, change_intensities, draw_intensity_plan

NOTHING: dict[str, None] = dict.fromkeys(
    ("noise_variance", "blur_sigma", "brightness", "contrast", "zoom", "inverted_gamma", "gamma")
)


@pytest.fixture
def image() -> np.ndarray:
    """Intensities from .2 to .8."""
    field = gaussian_filter(np.random.default_rng(0).normal(size=(24, 20, 16)), 1.5)
    return (0.2 + 0.6 * (field - field.min()) / np.ptp(field)).astype(np.float32)


def change(image: np.ndarray, **changes: Any) -> np.ndarray:
    return change_intensities(image, IntensityPlan(**{**NOTHING, **changes}), np.random.default_rng(1))


#: Name, probability for one channel, least and greatest value (nnU-Net 2, get_training_transforms).
FACTS = [
    ("noise_variance", 0.1, 0.0, 0.1),
    ("blur_sigma", 0.1, 0.5, 1.0),
    ("brightness", 0.15, 0.75, 1.25),
    ("contrast", 0.15, 0.75, 1.25),
    ("zoom", 0.125, 0.5, 1.0),
    ("inverted_gamma", 0.1, 0.7, 1.5),
    ("gamma", 0.3, 0.7, 1.5),
]


def test_probabilities_and_ranges_are_nnunets() -> None:
    rng = np.random.default_rng(0)
    plans = [draw_intensity_plan(rng) for _ in range(6000)]
    for name, probability, low, high in FACTS:
        values = np.array([getattr(plan, name) for plan in plans if getattr(plan, name) is not None])
        assert len(values) / 6000 == pytest.approx(probability, abs=0.02), name
        span = high - low
        assert low <= values.min() < low + 0.02 * span, name
        assert high - 0.02 * span < values.max() <= high, name
        if low < 1 < high:
            assert np.mean(values < 1) == pytest.approx(0.5, abs=0.07), name
    nothing = np.mean([plan == IntensityPlan(**NOTHING) for plan in plans])
    expected = float(np.prod([1 - probability for _, probability, _, _ in FACTS]))
    assert nothing == pytest.approx(expected, abs=0.02), "independent of each other"


def test_an_empty_plan_and_a_crop_of_one_intensity_change_nothing(image: np.ndarray) -> None:
    assert np.array_equal(change(image), image)
    flat = np.full((4, 4, 4), 0.3, np.float32)
    assert np.array_equal(change(flat, noise_variance=0.1, gamma=0.8, zoom=0.5), flat)


def test_noise_has_the_variance_of_the_plan_in_units_of_the_crop(image: np.ndarray) -> None:
    noise = (change(image, noise_variance=0.09) - image) / image.std()
    assert noise.std() == pytest.approx(0.3, rel=0.03)
    assert noise.mean() == pytest.approx(0, abs=0.01)


def test_blur_is_a_gaussian(image: np.ndarray) -> None:
    known = gaussian_filter(image, (0.5, 1.0, 0.75), mode="nearest")
    assert np.allclose(change(image, blur_sigma=(0.5, 1.0, 0.75)), known, atol=1e-5)


def test_brightness_scales_standardised_intensities(image: np.ndarray) -> None:
    found = change(image, brightness=1.25)
    assert np.allclose(found - image.mean(), 1.25 * (image - image.mean()), atol=1e-5)


def test_contrast_keeps_mean_and_range(image: np.ndarray) -> None:
    low = change(image, contrast=0.75)
    assert np.allclose(low - image.mean(), 0.75 * (image - image.mean()), atol=1e-5)
    high = change(image, contrast=1.25)
    assert (high.min(), high.max()) == pytest.approx((image.min(), image.max()), abs=1e-5)
    inner = np.abs(image - image.mean()) < 0.1
    assert np.allclose((high - image.mean())[inner], 1.25 * (image - image.mean())[inner], atol=1e-5)


def test_low_resolution_loses_detail_and_nothing_else(image: np.ndarray) -> None:
    noisy = image + np.random.default_rng(2).normal(0, 0.05, image.shape).astype(np.float32)
    found = change(noisy, zoom=0.5)
    assert found.shape == noisy.shape
    steps = [np.abs(np.diff(values, axis=0)).mean() for values in (found, noisy)]
    assert steps[0] < 0.7 * steps[1]
    ramp = np.broadcast_to(np.linspace(0, 1, 40, dtype=np.float32)[:, None, None], (40, 8, 8)).copy()
    middle = change(ramp, zoom=0.5)[6:-6] - ramp[6:-6]
    assert np.abs(middle).max() < 1 / 39, "no shift of more than the voxel that was chosen"
    assert np.allclose(change(ramp, zoom=1.0), ramp, atol=1e-5)


@pytest.mark.parametrize("exponent", [0.7, 1.5])
@pytest.mark.parametrize("name", ["gamma", "inverted_gamma"])
def test_gamma_keeps_mean_spread_and_order(image: np.ndarray, name: str, exponent: float) -> None:
    found = change(image, **{name: exponent})
    assert (found.mean(), found.std()) == pytest.approx((image.mean(), image.std()), abs=1e-4)
    order = np.argsort(image.ravel())
    assert np.all(np.diff(found.ravel()[order]) >= -1e-5)
    share = (image - image.min()) / np.ptp(image)
    bent = share**exponent if name == "gamma" else 1 - (1 - share) ** exponent
    known = (bent - bent.mean()) / bent.std() * image.std() + image.mean()
    assert np.allclose(found, known, atol=1e-4)


def test_the_same_generator_gives_the_same(image: np.ndarray) -> None:
    one, again = (
        change_intensities(image, draw_intensity_plan(rng), rng)
        for rng in (np.random.default_rng(5), np.random.default_rng(5))
    )
    assert np.array_equal(one, again)
