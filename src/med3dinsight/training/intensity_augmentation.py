"""nnU-Net's random noise, blur, brightness, contrast, low resolution and gamma.

Isensee et al., Nature Methods 2021, supplement; probabilities, ranges and order of nnU-Net 2. What is drawn and what
is done with it are apart: a plan says all about a crop but the noise itself. nnU-Net blurs and coarsens a sample with
a probability, and then each of its channels with .5; with one channel that is one probability, their product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy.ndimage import gaussian_filter, map_coordinates

from ..types import Vector3

NOISE_PROBABILITY, NOISE_VARIANCES = 0.1, (0.0, 0.1)
BLUR_PROBABILITY, BLUR_SIGMAS = 0.2 * 0.5, (0.5, 1.0)
BRIGHTNESS_PROBABILITY, BRIGHTNESS_FACTORS = 0.15, (0.75, 1.25)
CONTRAST_PROBABILITY, CONTRAST_FACTORS = 0.15, (0.75, 1.25)
COARSENING_PROBABILITY, ZOOMS = 0.25 * 0.5, (0.5, 1.0)
INVERTED_GAMMA_PROBABILITY, GAMMA_PROBABILITY, GAMMAS = 0.1, 0.3, (0.7, 1.5)
_SMALLEST = 1e-7

Image = Float32[np.ndarray, "x y z"]


@dataclass(frozen=True)
class IntensityPlan:
    """What becomes of a crop's intensities; None is left undone. Done in this order.

    Attributes:
        noise_variance: Of Gaussian noise, where the crop's own variance is 1.
        blur_sigma: Width of the Gaussian along x, y, z in voxels.
        brightness: Factor on the standardised intensities.
        contrast: Factor on the distance from the mean; the range stays.
        zoom: Share of the voxels an axis that low resolution leaves.
        inverted_gamma, gamma: Exponents, of the inverted image and of the image; mean and spread stay.
    """

    noise_variance: float | None
    blur_sigma: Vector3 | None
    brightness: float | None
    contrast: float | None
    zoom: float | None
    inverted_gamma: float | None
    gamma: float | None


def draw_intensity_plan(rng: np.random.Generator) -> IntensityPlan:
    """Draws what becomes of a crop. Factors are as often below 1 as above it."""

    def sometimes(probability: float, value: float) -> float | None:
        return value if rng.random() < probability else None

    blurred = rng.random() < BLUR_PROBABILITY
    x, y, z = rng.uniform(*BLUR_SIGMAS, 3).tolist()
    return IntensityPlan(
        noise_variance=sometimes(NOISE_PROBABILITY, float(rng.uniform(*NOISE_VARIANCES))),
        blur_sigma=(x, y, z) if blurred else None,
        brightness=sometimes(BRIGHTNESS_PROBABILITY, _around_one(rng, BRIGHTNESS_FACTORS)),
        contrast=sometimes(CONTRAST_PROBABILITY, _around_one(rng, CONTRAST_FACTORS)),
        zoom=sometimes(COARSENING_PROBABILITY, float(rng.uniform(*ZOOMS))),
        inverted_gamma=sometimes(INVERTED_GAMMA_PROBABILITY, _around_one(rng, GAMMAS)),
        gamma=sometimes(GAMMA_PROBABILITY, _around_one(rng, GAMMAS)),
    )


def _around_one(rng: np.random.Generator, ends: tuple[float, float]) -> float:
    below = rng.random() < 0.5
    return float(rng.uniform(ends[0], 1) if below else rng.uniform(1, ends[1]))


def change_intensities(image: Image, plan: IntensityPlan, rng: np.random.Generator) -> Image:
    """Carries a plan out.

    nnU-Net works on standardised intensities, and its ranges are meant for them: the crop is brought to mean 0 and
    variance 1, changed, and brought back. (Departs from nnU-Net in that it standardises the crop, not the volume.)

    Args:
        image: Intensities of any range.
        plan: What to do.
        rng: Draws the noise.

    Returns:
        Intensities of about the same range; they are not clipped to it. A crop of one intensity stays as it is.
    """
    mean, spread = float(image.mean()), float(image.std())
    if spread < _SMALLEST or plan == IntensityPlan(*[None] * 7):
        return image
    values = (image - mean) / spread
    if plan.noise_variance is not None:
        values = values + rng.normal(0, plan.noise_variance**0.5, image.shape).astype(np.float32)
    if plan.blur_sigma is not None:
        values = gaussian_filter(values, plan.blur_sigma, mode="nearest")
    if plan.brightness is not None:
        values = values * np.float32(plan.brightness)
    if plan.contrast is not None:
        low, high, middle = values.min(), values.max(), values.mean()
        values = np.clip((values - middle) * np.float32(plan.contrast) + middle, low, high)
    if plan.zoom is not None:
        values = _coarsened(values, plan.zoom)
    if plan.inverted_gamma is not None:
        values = -_with_gamma(-values, plan.inverted_gamma)
    if plan.gamma is not None:
        values = _with_gamma(values, plan.gamma)
    return np.asarray(values * np.float32(spread) + np.float32(mean), dtype=np.float32)


def _coarsened(values: Image, zoom: float) -> Image:
    """Takes the nearest of fewer voxels and interpolates back (cubic, as in the paper)."""
    counts = [max(1, round(length * zoom)) for length in values.shape]
    edges = list(zip(values.shape, counts, strict=True))
    nearest = [((np.arange(few) + 0.5) * many / few).astype(int) for many, few in edges]
    small = values[np.ix_(*nearest)]
    back = [(np.arange(many) + 0.5) * few / many - 0.5 for many, few in edges]
    grid = np.meshgrid(*back, indexing="ij")
    return np.asarray(map_coordinates(small, grid, order=3, mode="nearest"), dtype=np.float32)


def _with_gamma(values: Image, exponent: float) -> Image:
    low, span = values.min(), np.ptp(values)
    if span < _SMALLEST:
        return values
    bent = ((values - low) / span) ** np.float32(exponent)
    bent = (bent - bent.mean()) / max(float(bent.std()), _SMALLEST)
    return np.asarray(bent * values.std() + values.mean(), dtype=np.float32)
