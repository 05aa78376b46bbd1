"""The control ``shuffled``: another captioner's texts, each given to a slice it does not belong to.

Words, style and how often each text occurs stay the same; only what a text says about its slice is
lost. Texts stay with their person, so that nothing of somebody who is held out reaches the others.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from ..errors import InputError
from ..records import SliceRef

_ROUNDS = 50


def shuffle_texts(
    slices: Sequence[SliceRef], people: Sequence[str], texts: dict[str, str], seed: int
) -> dict[str, str]:
    """Deals each person's texts out anew, so that no slice keeps its own, nor gets one of its own crop.

    Args:
        slices: The whole slice table.
        people: The person of each slice.
        texts: ``{slice key: text}`` of the captioner to shuffle, complete.
        seed: Changes who gets whose.

    Returns:
        ``{slice key: text of another slice of the same person}``.

    Raises:
        InputError: There is only one slice of a person.
    """
    rows: dict[str, list[int]] = {}
    for row, person in enumerate(people):
        rows.setdefault(person, []).append(row)
    dealt = {}
    for own in rows.values():
        order = derangement([slices[row].crop for row in own], seed)
        dealt.update({slices[row].key: texts[slices[own[other]].key] for row, other in zip(own, order, strict=True)})
    return dealt


def derangement(groups: Sequence[Hashable], seed: int) -> list[int]:
    """Returns a seeded permutation without fixed points, that leaves no item in its own group.

    Where one group holds more than half of all items that cannot be; then only fixed points are avoided.

    Args:
        groups: The group of each item.
        seed: Changes the permutation.

    Example:
        >>> derangement(["a", "a", "b", "b"], 0)[:2] in ([2, 3], [3, 2])
        True

    Raises:
        InputError: There are less than two items.
    """
    if len(groups) < 2:
        raise InputError("one slice alone cannot be given the text of another", "caption more slices")
    number: dict[Hashable, int] = {}
    ids = np.array([number.setdefault(group, len(number)) for group in groups])
    largest = int(np.bincount(ids).max())
    if 2 * largest > len(ids):
        ids, largest = np.arange(len(ids)), 1
    generator = np.random.default_rng([seed, len(ids)])
    order = generator.permutation(len(ids))
    for _ in range(_ROUNDS):
        wrong = np.flatnonzero(ids[order] == ids)
        if not wrong.size:
            return [int(other) for other in order]
        for item in wrong:
            partner = int(generator.integers(len(ids)))
            order[item], order[partner] = order[partner], order[item]
    return _rotated(ids, largest, generator)


def _rotated(ids: np.ndarray, largest: int, generator: np.random.Generator) -> list[int]:
    """Sorts the items by group and moves each on by the size of the largest one: always out of its group."""
    ranks = generator.permutation(int(ids.max()) + 1)
    row = np.lexsort((generator.permutation(len(ids)), ranks[ids]))
    order = np.empty(len(ids), dtype=int)
    order[row] = np.roll(row, -largest)
    return [int(other) for other in order]
