"""Randomness that depends on (seed, step) only, so that a resumed run draws what the first would have."""

from __future__ import annotations

import numpy as np
import torch


def step_generator(seed: int, step: int, stream: str) -> np.random.Generator:
    """Returns the numpy generator of a step.

    Args:
        seed: Seed of the run.
        step: Step number.
        stream: What is drawn, so that two uses of one step are independent.

    Example:
        >>> bool(step_generator(0, 3, "crops").random() == step_generator(0, 3, "crops").random())
        True
    """
    return np.random.default_rng([seed, step, *stream.encode()])


def step_seed(seed: int, step: int) -> int:
    """Returns a seed for what torch draws inside the networks at a step; neighbouring steps share nothing.

    Example:
        >>> step_seed(0, 3) == step_seed(0, 3) != step_seed(0, 4)
        True
    """
    return int(np.random.SeedSequence([seed, step, 0x7E]).generate_state(1, np.uint64)[0] >> np.uint64(2))


def seed_weights(seed: int) -> None:
    """Seeds torch before weights are initialised."""
    torch.manual_seed(seed)
