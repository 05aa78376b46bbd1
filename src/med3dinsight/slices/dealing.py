"""Deals what belongs to slices out to other slices: the controls that keep words and style and lose the match."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

_ROUNDS = 50
#: Partners that are tried at random before all are looked through.
_TRIED = 64


def derangement(groups: Sequence[Hashable], seed: int, others: Sequence[Hashable] | None = None) -> NDArray[np.int64]:
    """Returns a seeded permutation without fixed points, that leaves no item in its own group.

    Where one group holds more than half of all items some have to stay in it: as few as can be. Where there is one
    group only, nothing but fixed points is avoided.

    Args:
        groups: The group of each item.
        seed: Changes the permutation.
        others: Groups of another kind, left as well where pairs of items that may change places are found.

    Returns:
        ``(items,)``: which item each one gets.

    Example:
        >>> derangement(["a", "a", "b", "b"], 0)[:2].tolist() in ([2, 3], [3, 2])
        True

    Raises:
        InputError: There are less than two items.
    """
    if len(groups) < 2:
        raise InputError("one slice alone cannot be given the text of another", "caption more slices")
    ids = _numbered(groups)
    if int(ids.max()) == 0:
        ids = np.arange(len(ids))
    generator = np.random.default_rng([seed, len(ids)])
    order = _swapped(ids, generator)
    if order is None:
        order = _rotated(ids, generator)
    if others is not None:
        _leave_too(order, ids, _numbered(others), generator)
    return order


def _numbered(groups: Sequence[Hashable]) -> NDArray[np.int64]:
    number: dict[Hashable, int] = {}
    return np.array([number.setdefault(group, len(number)) for group in groups], dtype=np.int64)


def _swapped(ids: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64] | None:
    """Shuffles, and swaps at random what has come to lie in its own group; None where that does not end."""
    if 2 * int(np.bincount(ids).max()) > len(ids):
        return None
    order = generator.permutation(len(ids))
    for _ in range(_ROUNDS):
        wrong = np.flatnonzero(ids[order] == ids)
        if not wrong.size:
            return order
        for item in wrong:
            partner = int(generator.integers(len(ids)))
            order[item], order[partner] = order[partner], order[item]
    return None


def _rotated(ids: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """Sorts the items by group and moves each on by the size of the largest one: out of its group where that can be."""
    ranks = generator.permutation(int(ids.max()) + 1)
    row = np.lexsort((generator.permutation(len(ids)), ranks[ids]))
    order = np.empty(len(ids), dtype=np.int64)
    order[row] = np.roll(row, -int(np.bincount(ids).max()))
    return order


def _leave_too(
    order: NDArray[np.int64], ids: NDArray[np.int64], others: NDArray[np.int64], generator: np.random.Generator
) -> None:
    """Swaps, in place, what lies in its own group of the other kind with an item that both may change places with."""
    for item in np.flatnonzero(others[order] == others):
        if others[order[item]] != others[item]:
            continue
        for partners in (generator.integers(len(ids), size=_TRIED), generator.permutation(len(ids))):
            free = np.ones(len(partners), dtype=bool)
            for kind in (ids, others):
                free &= kind[order[partners]] != kind[item]
                free &= kind[partners] != kind[order[item]]
            if free.any():
                partner = int(partners[free.argmax()])
                order[item], order[partner] = order[partner], order[item]
                break
