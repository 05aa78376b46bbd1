"""What a text says that can be checked: planes, modalities, sides and organs, by their words."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from .vocabulary import MODALITIES, ORGANS, PLANES, SIDES, meaning_of, pattern_of

#: Words in front of an organ, in its part of the sentence, that are looked at for its side and for a "no".
_REACH = 4
_NEGATIONS = frozenset({"no", "not", "without", "absent", "absence", "neither", "nor", "outside"})
_PART = re.compile(r"[.;:,!?\n]")
_WORD = re.compile(r"[a-z]+")
#: A text is read up to here; what comes later in one of a megabyte is not worth the time.
_MOST_CHARACTERS = 20_000


@dataclass(frozen=True)
class Claims:
    """What a text says.

    Attributes:
        planes: Planes that it names: "axial", "coronal", "sagittal".
        modalities: Modalities that it names, see :data:`~med3dinsight.auditing.vocabulary.MODALITIES`.
        sides: Sides that it names anywhere: "right", "left".
        organs: Organs that it says are there, each with its side: "right", "left", "both" or "".
    """

    planes: frozenset[str]
    modalities: frozenset[str]
    sides: frozenset[str]
    organs: frozenset[tuple[str, str]]


class ClaimReader:
    """Reads texts; a text that comes again is not read again.

    Args:
        more_organs: Words that label maps have for structures that the vocabulary does not know.

    Example:
        >>> claims = ClaimReader().read("Axial CT slice. No spleen, a cyst in the left kidney.")
        >>> sorted(claims.planes), sorted(claims.modalities), sorted(claims.organs)
        (['axial'], ['ct'], [('kidney', 'left')])
    """

    def __init__(self, more_organs: frozenset[str] = frozenset()) -> None:
        self._planes, self._modalities, self._sides = map(meaning_of, (PLANES, MODALITIES, SIDES))
        self._organs = {**{word: word for word in more_organs}, **meaning_of(ORGANS)}
        tables = (self._planes, self._modalities, self._sides, self._organs)
        self._patterns = [pattern_of(table) for table in tables]
        self.read = functools.lru_cache(maxsize=4096)(self._read)

    def _read(self, text: str) -> Claims:
        text = text[:_MOST_CHARACTERS]
        planes, modalities, sides = (
            {table[_word(found, table)] for found in pattern.finditer(text)}
            for table, pattern in zip((self._planes, self._modalities, self._sides), self._patterns, strict=False)
        )
        # "MR" alone is a modality, "Mr" a title.
        if re.search(r"\bMR\b", text):
            modalities.add("mr")
        organs = set()
        for part in _PART.split(text):
            end = 0
            for found in self._patterns[3].finditer(part):
                before = _WORD.findall(part[: found.start()].lower())[-_REACH:]
                if not _NEGATIONS.intersection(before):
                    own = _WORD.findall(part[end : found.start()].lower())[-_REACH:]
                    organs.add((self._organs[_word(found, self._organs)], self._side(own)))
                end = found.end()
        return Claims(frozenset(planes), frozenset(modalities), frozenset(sides - {"both"}), frozenset(organs))

    def _side(self, before: list[str]) -> str:
        if "both" in before or "bilateral" in before or {"right", "left"} <= set(before):
            return "both"
        return next((word for word in reversed(before) if word in ("right", "left")), "")


def _word(found: re.Match[str], table: dict[str, str]) -> str:
    word = found.group().lower()
    return next(form for form in (word, word.replace("-", " "), word.replace(" ", "-")) if form in table)
