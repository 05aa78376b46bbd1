"""Random contrast curves: the same anatomy under another scanner, window or contrast phase."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KNOTS = 6


def contrast_curve(rng: np.random.Generator, strength: float) -> NDArray[np.float32]:
    """Draws a monotone curve from the 256 stored intensities to [0, 1].

    A random partition of [0, 1] (Dirichlet) gives the heights of equally spaced knots; the curve is mixed
    with the identity by ``strength``.

    Args:
        rng: Source of randomness.
        strength: 0 (identity) to 1.

    Returns:
        ``(256,)`` float32, non-decreasing, from 0 to 1.
    """
    heights = np.concatenate([[0.0], np.cumsum(rng.dirichlet(np.full(KNOTS, 2.0)))])
    levels = np.linspace(0, 1, 256)
    curve = np.interp(levels, np.linspace(0, 1, KNOTS + 1), heights)
    return ((1 - strength) * levels + strength * curve).astype(np.float32)
