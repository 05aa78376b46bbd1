"""Learning rate over the steps of a run."""

from __future__ import annotations

import math


def warmup_cosine(step: int, steps: int, warmup: int) -> float:
    r"""Returns the factor on the peak learning rate: linear warm-up, then half a cosine to 0.

    .. math:: f = (s + 1) / w \;(s < w), \quad \tfrac12 (1 + \cos(\pi (s - w) / (n - w)))

    (Loshchilov & Hutter 2017, one cycle).

    Args:
        step: s, from 0.
        steps: n, all steps.
        warmup: w, warm-up steps.

    Example:
        >>> warmup_cosine(0, 100, 10), warmup_cosine(10, 100, 10), round(warmup_cosine(55, 100, 10), 3)
        (0.1, 1.0, 0.5)
    """
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(steps - warmup, 1)))


def warmup_constant(step: int, warmup: int) -> float:
    """Returns the factor on the learning rate: linear warm-up, then 1.

    Args:
        step: From 0.
        warmup: Warm-up steps.

    Example:
        >>> warmup_constant(0, 4), warmup_constant(4, 4), warmup_constant(0, 0)
        (0.25, 1.0, 1.0)
    """
    return min(1.0, (step + 1) / warmup) if warmup else 1.0


def polynomial(step: int, steps: int, exponent: float = 0.9) -> float:
    """Returns the factor on the first learning rate: ``(1 - s / n) ** exponent`` (nnU-Net, Isensee et al. 2021).

    nnU-Net changes it once in 250 steps, and here it changes at every step.

    Args:
        step: s, from 0.
        steps: n, all steps.
        exponent: How it bends; 1 is a straight line to 0.

    Example:
        >>> polynomial(0, 100), round(polynomial(50, 100), 3)
        (1.0, 0.536)
    """
    return float((1 - step / steps) ** exponent)
