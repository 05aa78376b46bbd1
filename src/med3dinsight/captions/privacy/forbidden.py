"""Data sets whose terms forbid services of others, recognised by name, by licence, and by the paths of their files."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from pathlib import PurePath

from ...datasets.public import DATASETS
from ...records import Case

#: Sets that no layout stands for, and whose agreements name people who may see the data, so nobody else.
_MORE = {
    "PhysioNet Credentialed": "its data use agreement",
    "MIMIC": "the data use agreement of PhysioNet",
    "UK Biobank": "its material transfer agreement",
}
_WORD = re.compile(r"[a-z]+|[0-9]+")
#: How many words of a text may stand for one name: "C T - Rate".
_MOST_WORDS = 6


def forbidding_terms(case: Case) -> str:
    """Says which terms forbid to show a case to services of others; empty where none is known.

    A name in the path counts too: a data set that was read as a plain folder has no origin.

    Args:
        case: A prepared case.

    Example:
        >>> from med3dinsight.captions.privacy.forbidden import named_in
        >>> named_in(["ct_rate/train"])
        'CT-RATE (CC BY-NC-SA 4.0 and terms of access)'
    """
    return named_in([case.origin, case.licence, *PurePath(case.image).parts]) or licensed_as(case.licence)


def named_in(texts: Iterable[str]) -> str:
    """Returns the data set that one of some texts names and whose terms forbid it, with its terms; else empty."""
    return next((told for text in texts if (told := _named(text))), "")


@functools.lru_cache(maxsize=4096)  # a hundred thousand cases share origins, licences and folders
def _named(text: str) -> str:
    known = _names()
    words = _WORD.findall(text.casefold())
    for first in range(len(words)):
        for last in range(first + 1, min(first + _MOST_WORDS, len(words)) + 1):
            if (told := known.get("".join(words[first:last]))) is not None:
                return told
    return ""


@functools.lru_cache(maxsize=4096)
def licensed_as(licence: str) -> str:
    """Returns the data set with terms of its own that a licence text repeats; else empty."""
    text = _plain(licence)
    for layout in DATASETS.values():
        facts = layout.facts
        if facts is not None and facts.third_parties == "forbidden" and _plain(facts.licence) in text:
            return f"{facts.title} ({facts.licence})"
    return ""


@functools.cache
def _names() -> dict[str, str]:
    """Names in one spelling; numbers are words of their own in a text, so that those of a year are found as well."""
    names = {_plain(name): f"{name} ({terms})" for name, terms in _MORE.items()}
    for key, layout in DATASETS.items():
        if (facts := layout.facts) is None or facts.third_parties != "forbidden":
            continue
        told = f"{facts.title} ({facts.licence})"
        spellings = (key, facts.title, re.sub(r"\(.*?\)|\d", "", facts.title))  # without remarks and years
        names |= {_plain(name): told for name in spellings}
    return names


def _plain(text: str) -> str:
    return "".join(_WORD.findall(text.casefold()))
