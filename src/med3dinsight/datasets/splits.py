"""Splits by subject: a person never falls on two sides."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..errors import ConfigError

#: Shares of training, validation and test subjects (Med3DInsight, section 3.1).
SHARES = (0.7, 0.1, 0.2)


def split_subjects(subjects: Iterable[str], seed: int) -> tuple[list[str], list[str], list[str]]:
    """Splits subjects 7:1:2 into training, validation and test, each sorted.

    With few subjects the test side gets at least one; the validation side may stay empty below five.

    Args:
        subjects: Names of people; doubles count once.
        seed: Seed of the shuffle.

    Raises:
        ConfigError: There are fewer than two subjects.

    Example:
        >>> train, validation, test = split_subjects("abcdefghij", seed=0)
        >>> len(train), len(validation), len(test)
        (7, 1, 2)
    """
    names = sorted(set(subjects))
    if len(names) < 2:
        raise ConfigError(f"{len(names)} subject(s) with labels cannot be split", "add people, or name the sides")
    order = [names[i] for i in np.random.default_rng(seed).permutation(len(names))]
    num_test = max(1, round(SHARES[2] * len(names)))
    num_validation = max(1, round(SHARES[1] * len(names))) if len(names) >= 5 else 0
    test, rest = order[:num_test], order[num_test:]
    return sorted(rest[num_validation:]), sorted(rest[:num_validation]), sorted(test)
