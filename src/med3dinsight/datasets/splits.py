"""Splits by subject: a person never falls on two sides."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, LeakageError, suggest
from ..records import Case

#: Sides that a data set, a table or a user may name.
SIDES = ("train", "validation", "test")
#: Shares of training, validation and test subjects (Med3DInsight, section 3.1).
SHARES = (0.7, 0.1, 0.2)


def given_sides(cases: Iterable[Case]) -> tuple[list[str], list[str], list[str]] | None:
    """Returns the split that the data set itself gives, each side sorted; None where it has nobody to test.

    People of whom it says nothing train.

    Args:
        cases: With their ``split``.

    Raises:
        ConfigError: A side has a name that is none.
        LeakageError: The data set has a subject on two sides.
    """
    side_of: dict[str, Case] = {}
    for case in cases:
        if case.split and case.split not in SIDES:
            raise ConfigError(f"{case.id} is of the split {case.split}", suggest(case.split, SIDES))
        other = side_of.setdefault(case.subject, case)
        if (other.split or SIDES[0]) != (case.split or SIDES[0]):
            raise LeakageError(
                f"the data set has subject {case.subject} on two sides: {other.id} ({other.image}) for "
                f"{other.split or SIDES[0]} and {case.id} ({case.image}) for {case.split or SIDES[0]}",
                "name the sides' people (finetune.train, validation, test), or correct the table of the data",
            )
    train, validation, test = (
        sorted(subject for subject, case in side_of.items() if (case.split or SIDES[0]) == side) for side in SIDES
    )
    return (train, validation, test) if test else None


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
    return _deal(order)


def split_alike(kind_of: Mapping[str, Hashable], seed: int) -> tuple[list[str], list[str], list[str]]:
    """Splits subjects 7:1:2 so that every side has like shares of each kind, as far as whole people allow.

    The sizes are those of :func:`split_subjects`. Within a kind the n subjects are shuffled and take the places
    (k + 1/2) / n; all are ordered by their place and dealt from the front: test, validation, training. The only
    subject of a kind is at 1/2, so that it trains. Where that leaves a side with a whole person more or less of a kind
    than its share, the counts are the shares rounded up or down instead, with people of rare kinds in training as far
    as can be.

    Args:
        kind_of: ``{subject: kind}``, for example its class.
        seed: Seed of the shuffle.

    Raises:
        ConfigError: There are fewer than two subjects.

    Example:
        >>> train, validation, test = split_alike({name: name in "abcde" for name in "abcdefghij"}, seed=0)
        >>> len(train), len(validation), sum(name in "abcde" for name in test)
        (7, 1, 1)
    """
    if len(kind_of) < 2:
        raise ConfigError(f"{len(kind_of)} subject(s) with labels cannot be split", "add people, or name the sides")
    generator = np.random.default_rng(seed)
    places: list[tuple[float, float, str]] = []
    kinds: list[list[str]] = []
    for names in _by_kind(kind_of):
        shuffled = [names[i] for i in generator.permutation(len(names))]
        places += [((k + 0.5) / len(names), generator.random(), name) for k, name in enumerate(shuffled)]
        kinds.append(shuffled)
    dealt = _deal([name for _, _, name in sorted(places)])
    counts = np.array([[len(side & set(names)) for side in map(set, dealt)] for names in kinds])
    shares = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    return dealt if (abs(counts - shares) < 1 + 1e-9).all() else _deal_counts(kinds, _rounded(shares))


def fold_subjects(kind_of: Mapping[str, Hashable], folds: int, seed: int) -> list[list[str]]:
    """Parts people into folds of like size with like shares of each kind; everybody is in one fold.

    Args:
        kind_of: ``{subject: kind}``, for example its class; one kind for all where there is none.
        folds: Number of folds, each tested once.
        seed: Seed of the shuffle.

    Returns:
        The folds, each sorted.

    Raises:
        ConfigError: There are fewer than two folds, or fewer subjects than folds.

    Example:
        >>> [len(fold) for fold in fold_subjects(dict.fromkeys("abcdefgh", 0), 3, seed=0)]
        [3, 3, 2]
    """
    if folds < 2:
        raise ConfigError(f"{folds} fold(s) leave nobody to train or to test", "choose 2 folds or more")
    if len(kind_of) < folds:
        raise ConfigError(
            f"{len(kind_of)} labelled subject(s) cannot be parted into {folds} folds",
            f"choose {len(kind_of)} folds or fewer, or add people" if len(kind_of) > 1 else "add people",
        )
    generator = np.random.default_rng(seed)
    order: list[str] = []
    for names in _by_kind(kind_of):
        order += [names[i] for i in generator.permutation(len(names))]
    # Round by round, on through the kinds: a kind's people go to as many folds as they can.
    return [sorted(order[first::folds]) for first in range(folds)]


def _by_kind(kind_of: Mapping[str, Hashable]) -> list[list[str]]:
    of_kind: dict[Hashable, list[str]] = {}
    for name in sorted(kind_of):
        of_kind.setdefault(kind_of[name], []).append(name)
    return list(of_kind.values())


def _deal(order: list[str]) -> tuple[list[str], list[str], list[str]]:
    num_test = max(1, round(SHARES[2] * len(order)))
    num_validation = max(1, round(SHARES[1] * len(order))) if len(order) >= 5 else 0
    test, rest = order[:num_test], order[num_test:]
    return sorted(rest[num_validation:]), sorted(rest[:num_validation]), sorted(test)


def _rounded(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rounds a table of shares up or down so that its rows and columns keep their sums, which are whole numbers.

    That can always be done (the table is a flow with whole capacities). Of all ways, one is taken that puts people of
    rare kinds in training.
    """
    from scipy.optimize import linprog

    kinds, sides = shares.shape
    rows, columns = np.kron(np.eye(kinds), np.ones(sides)), np.kron(np.ones(kinds), np.eye(sides))
    cost = np.outer(1 / shares.sum(axis=1), [0.0, 1.0, 1.0])
    low, high = np.floor(shares + 1e-9), np.ceil(shares - 1e-9)
    solved = linprog(
        cost.ravel(),
        A_eq=np.vstack((rows, columns)),
        b_eq=np.rint((*shares.sum(axis=1), *shares.sum(axis=0))),
        bounds=list(zip(low.ravel(), high.ravel(), strict=True)),
        method="highs-ds",
    )
    return np.rint(solved.x).astype(np.int64).reshape(shares.shape)


def _deal_counts(kinds: list[list[str]], counts: NDArray[np.int64]) -> tuple[list[str], list[str], list[str]]:
    train: list[str] = []
    validation: list[str] = []
    test: list[str] = []
    for names, (_, num_validation, num_test) in zip(kinds, counts.tolist(), strict=True):
        test += names[:num_test]
        validation += names[num_test : num_test + num_validation]
        train += names[num_test + num_validation :]
    return sorted(train), sorted(validation), sorted(test)
