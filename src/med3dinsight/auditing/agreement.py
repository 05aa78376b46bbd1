"""How far two captioners say the same about the same slices, beside how far they say the same about any slices."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .claims import ClaimReader, Claims
from .tally import Share, share_of

_WORD = re.compile(r"[^\W_]{3,}")
#: Words that every sentence has.
_EMPTY_WORDS = frozenset({"the", "and", "with", "this", "that", "are", "for", "from", "its", "there", "which", "has"})


class Agreement:
    """Compares texts slice by slice.

    Args:
        against: The other captioner's name.
        others: ``{slice key: text}`` of the other captioner.
        reader: Reads what texts say.
        seed: Of the other slices that texts are compared with.
    """

    def __init__(self, against: str, others: dict[str, str], reader: ClaimReader, seed: int) -> None:
        self._against, self._others, self._reader = against, others, reader
        self._keys = sorted(others)
        self._random = np.random.default_rng(seed)
        self._same: dict[str, Share] = {name: Share() for name in ("plane", "modality", "side", "organs")}
        self._both = self._identical = 0
        self._words = self._by_chance = 0.0

    def add(self, key: str, text: str, claims: Claims) -> None:
        """Compares one text with the other captioner's; slices that it has no text for do not count."""
        other = self._others.get(key)
        if other is None:
            return
        self._both += 1
        self._identical += text == other
        theirs = self._reader.read(other)
        pairs = {
            "plane": (claims.planes, theirs.planes),
            "modality": (claims.modalities, theirs.modalities),
            "side": (claims.sides, theirs.sides),
            "organs": (_names(claims), _names(theirs)),
        }
        for name, (mine, yours) in pairs.items():
            self._same[name].add(mine == yours if mine and yours else None)
        drawn = self._others[self._keys[int(self._random.integers(len(self._keys)))]]
        self._words += word_overlap(text, other)
        self._by_chance += word_overlap(text, drawn)

    def as_json(self) -> dict[str, Any]:
        """Returns the counts; ``words`` is the mean overlap of words, ``words_by_chance`` that of any two slices."""
        same = {name: share.as_json() for name, share in self._same.items()}
        return {
            "against": self._against,
            "slices": self._both,
            "identical": share_of(self._identical, self._both),
            **same,
            "words": round(self._words / self._both, 4) if self._both else None,
            "words_by_chance": round(self._by_chance / self._both, 4) if self._both else None,
        }


def word_overlap(one: str, other: str) -> float:
    """Returns the words that two texts share over all words of both, 0 to 1; short and empty words do not count.

    Example:
        >>> word_overlap("the liver and spleen", "a large liver")
        0.3333333333333333
    """
    words = [set(_WORD.findall(text.lower())) - _EMPTY_WORDS for text in (one, other)]
    return len(words[0] & words[1]) / len(words[0] | words[1]) if words[0] | words[1] else 0.0


def _names(claims: Claims) -> frozenset[str]:
    return frozenset(organ for organ, _ in claims.organs)
