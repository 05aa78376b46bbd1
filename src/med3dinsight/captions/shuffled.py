"""The control ``shuffled``: another captioner's texts, each given to a slice it does not belong to.

Words, style and how often each text occurs stay the same; only what a text says about its slice is
lost. Texts stay with their person, so that nothing of somebody who is held out reaches the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..records import SliceRef
from ..slices.dealing import derangement


def shuffle_texts(
    slices: Sequence[SliceRef], people: Sequence[str], texts: dict[str, str], seed: int
) -> dict[str, str]:
    """Deals each person's texts out anew, so that no slice keeps its own, nor gets one of its own crop.

    Where one crop has more than half of a person's slices, as few as can be get a text of their own crop.

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
