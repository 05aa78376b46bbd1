"""Counts over all texts of a captioner, text by text."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import Any

from .claims import Claims
from .facts import SliceFacts
from .refusals import is_refusal
from .verdicts import CONTRADICTING_FLAGS, Verdict

#: What a text names that is wrong by its flag alone.
OTHER_ANSWER = "another one, by its flag"
#: An organ with less than this in the slice is not expected to be named.
NAMED_FROM_CM2 = 1.0


class Share:
    """How many of the texts that say something are right.

    Attributes:
        said: Texts (or mentions) that say something that could be checked.
        agree: Those of them that are right.
    """

    def __init__(self) -> None:
        self.said = self.agree = 0

    def add(self, agrees: bool | None) -> None:
        """Counts one text; None says nothing."""
        self.said += agrees is not None
        self.agree += bool(agrees)

    def as_json(self) -> dict[str, Any]:
        """Returns ``{"said", "agree", "share"}``; the share is None where nothing was said."""
        return {"said": self.said, "agree": self.agree, "share": share_of(self.agree, self.said)}


class Guessed(Share):
    """A share of texts that name one of a few things, and how often they would be right if dealt out at random."""

    def __init__(self) -> None:
        super().__init__()
        self.by_flag = 0
        self._pairs: Counter[tuple[str, str]] = Counter()

    def add_pair(self, said: frozenset[str], true: str, agrees: bool | None, *, by_flag: bool = False) -> None:
        """Counts one text: what it names, what is true, and whether only its flag tells that it is wrong."""
        self.add(agrees)
        self.by_flag += by_flag
        if said or by_flag:
            self._pairs[OTHER_ANSWER if by_flag else " and ".join(sorted(said)), true] += 1

    def as_json(self) -> dict[str, Any]:
        """Returns the same with ``by_flag``, ``by_chance``, and ``counts``: ``{true: {said: texts}}``."""
        said, true = Counter[str](), Counter[str]()
        counts: dict[str, dict[str, int]] = {}
        for (named, real), texts in sorted(self._pairs.items()):
            counts.setdefault(real, {})[named] = texts
            if named == OTHER_ANSWER:  # what it names is not known
                continue
            said[named] += texts
            true[real] += texts
        met = sum(said[name] * true[name] for name in true)
        chance = share_of(met, said.total() ** 2)
        return {**super().as_json(), "by_flag": self.by_flag, "by_chance": chance, "counts": counts}


class Tally:
    """Everything that is counted about one captioner's texts.

    Args:
        most_words: A text with more words is long.
    """

    def __init__(self, most_words: int) -> None:
        self._most_words = most_words
        self.texts = self.without_text = self.checked = self.contradicting = self.by_flag = 0
        self.refusals = self.long = 0
        self.plane, self.modality, self.side, self.organs = Guessed(), Guessed(), Share(), Share()
        self._organs: dict[str, Share] = {}
        self._expected, self._named = Counter[str](), Counter[str]()
        self._lengths, self._flags, self._repeated = Counter[int](), Counter[str](), Counter[bytes]()

    def add_missing(self, flags: Iterable[str]) -> None:
        """Counts a slice without a text."""
        self.without_text += 1
        self._flags.update(flags)

    def add(self, text: str, flags: tuple[str, ...], claims: Claims, facts: SliceFacts, verdict: Verdict) -> list[str]:
        """Counts a text and returns what else is wrong with it, in words."""
        self.texts += 1
        self.checked += verdict.checked
        self.contradicting += bool(verdict.reasons)
        self.by_flag += len(verdict.by_flag) == len(verdict.reasons) > 0
        for part, said, true, agrees in (
            ("plane", claims.planes, facts.plane, verdict.plane),
            ("modality", claims.modalities, facts.modality, verdict.modality),
        ):
            getattr(self, part).add_pair(said, true, agrees, by_flag=part in verdict.by_flag)
        self.side.add(verdict.side)
        self.organs.add(verdict.organs_agree)
        for organ, there in verdict.organs.items():
            self._organs.setdefault(organ, Share()).add(there)
        named = {organ for organ, _ in claims.organs}
        for organ, area in facts.areas_cm2.items():
            if area >= NAMED_FROM_CM2:
                self._expected[organ] += 1
                self._named[organ] += organ in named
        self._flags.update(flags)
        self._repeated[digest_of(text)] += 1
        return self._style(text, flags)

    def _style(self, text: str, flags: tuple[str, ...]) -> list[str]:
        words = len(text.split())
        self._lengths[words] += 1
        refuses, is_long = is_refusal(text), words > self._most_words
        self.refusals += refuses
        self.long += is_long
        remarks = ["refuses to describe"] if refuses else []
        remarks += [f"{words} words long"] if is_long else []
        # A contradiction is told, and counts, among the reasons.
        others = [flag for flag in flags if flag not in CONTRADICTING_FLAGS.values()]
        return remarks + [f"flagged when it was written: {flag}" for flag in others]

    def most_repeated(self) -> tuple[bytes, int] | None:
        """Returns the digest of the text that occurs most often and how often; None where none occurs twice."""
        most = self._repeated.most_common(1)
        return most[0] if most and most[0][1] > 1 else None

    def as_json(self) -> dict[str, Any]:
        """Returns all counts as plain JSON values."""
        organs = {
            organ: {
                **self._organs.get(organ, Share()).as_json(),
                "seen": self._expected[organ],
                "seen_and_named": self._named[organ],
            }
            for organ in sorted({*self._organs, *self._expected})
        }
        seen, distinct = self._expected.total(), len(self._repeated)
        return {
            "slices": self.texts + self.without_text,
            "texts": self.texts,
            "without_text": self.without_text,
            "checked": self.checked,
            "contradicting": self.contradicting,
            "contradicting_by_flag": self.by_flag,
            "score": share_of(self.checked - self.contradicting, self.checked),
            "plane": self.plane.as_json(),
            "modality": self.modality.as_json(),
            "side": self.side.as_json(),
            "organs": {
                **self.organs.as_json(),
                "seen": seen,
                "seen_and_named": self._named.total(),
                "named_share": share_of(self._named.total(), seen),
                "by_organ": organs,
            },
            "duplicates": {"distinct": distinct, "share": share_of(self.texts - distinct, self.texts)},
            "refusals": {"texts": self.refusals, "share": share_of(self.refusals, self.texts)},
            "length": {**self._words(), "long": self.long},
            "flags": dict(sorted(self._flags.items())),
        }

    def _words(self) -> dict[str, int | None]:
        ordered, found, passed = sorted(self._lengths), dict.fromkeys(("shortest", "median", "p95", "longest")), 0
        result: dict[str, int | None] = dict(found)
        ranks = {"shortest": 0.0, "median": 0.5, "p95": 0.95, "longest": 1.0}
        for words in ordered:
            passed += self._lengths[words]
            for name, rank in ranks.items():
                if result[name] is None and passed >= max(1.0, rank * self.texts):
                    result[name] = words
        return result


def digest_of(text: str) -> bytes:
    """Returns a short digest by which equal texts are known."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).digest()


def share_of(part: int, whole: int) -> float | None:
    """Returns a share rounded to four digits; None of nothing."""
    return round(part / whole, 4) if whole else None
