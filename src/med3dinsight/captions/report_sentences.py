"""A radiology report in pieces that a text encoder can read: sentences, none too long, none of a word alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

#: Words after which a full stop ends no sentence.
_ABBREVIATIONS = frozenset(
    {"dr", "mr", "mrs", "ms", "prof", "st", "vs", "no", "nr", "fig", "e.g", "i.e", "approx", "resp", "cf", "ca", "max"}
    | {"min", "incl", "excl", "bzw", "ggf", "vol", "seg", "ser", "im"}
)
_LINES = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*\u2022]|\d{1,2}[.)])\s)|\n(?=[^\n:]{1,40}:\s*(?:\n|$))")
_END = re.compile(r"[.!?]+[\"\u201d')\]]*\s+|[\u3002\uff01\uff1f]\s*")
_BULLET = re.compile(r"^\s*(?:[-*\u2022]|\d{1,2}[.)])\s+")
_CLAUSE = re.compile(r"(?<=[,;:])\s+")


def split_sentences(report: str) -> list[str]:
    r"""Splits a report at the ends of sentences, at blank lines, at the points of lists and before headings.

    Lines that merely wrap are joined; abbreviations, initials and numbers end no sentence.

    Args:
        report: As it was written.

    Returns:
        The sentences in their order, with single spaces; bullets and numbers of lists are left out.

    Example:
        >>> split_sentences("Nodule of 1.5 cm, cf. Dr. Smith. No\neffusion.\n- Liver: normal")
        ['Nodule of 1.5 cm, cf. Dr. Smith.', 'No effusion.', 'Liver: normal']
    """
    sentences = []
    for block in _LINES.split(report.replace("\r\n", "\n").replace("\r", "\n")):
        text = " ".join(_BULLET.sub("", block, count=1).split())
        start = 0
        for found in _END.finditer(text):
            if _is_end(text, start, found):
                sentences.append(text[start : found.end()].strip())
                start = found.end()
        sentences.append(text[start:].strip())
    return [sentence for sentence in sentences if sentence]


def _is_end(text: str, start: int, found: re.Match[str]) -> bool:
    if not found.group().strip().startswith("."):
        return True
    if text[found.end() : found.end() + 1].islower():
        return False
    words = text[start : found.start()].split()
    word = words[-1].lower().strip("([\"'") if words else ""
    # An initial, and the number of a point in a list; a number at the end of a sentence ends it.
    alone = (len(word) == 1 and word.isalpha()) or (len(words) == 1 and word.isdigit())
    return not alone and word not in _ABBREVIATIONS


def fitted(sentences: Sequence[str], least_words: int, most_words: int) -> list[str]:
    """Makes pieces of sentences that are neither too short nor too long; no word is lost.

    Args:
        sentences: In their order.
        least_words: A shorter piece, such as a heading, is joined to the one after it, or the last to the one before
            it, where both together are not too long.
        most_words: A longer sentence is cut, after a comma, semicolon or colon where there is one.

    Example:
        >>> fitted(["FINDINGS:", "The liver is normal.", "One, two, three four five"], 2, 4)
        ['FINDINGS:', 'The liver is normal.', 'One, two,', 'three four five']
    """
    pieces = [piece for sentence in sentences for piece in _cut(sentence, most_words)]
    joined: list[str] = []
    for piece in pieces:
        short = joined and len(joined[-1].split()) < least_words
        if short and len(joined[-1].split()) + len(piece.split()) <= most_words:
            joined[-1] += f" {piece}"
        else:
            joined.append(piece)
    if len(joined) > 1 and len(joined[-1].split()) < least_words:
        both = f"{joined[-2]} {joined[-1]}"
        if len(both.split()) <= most_words:
            joined[-2:] = [both]
    return joined


def _cut(sentence: str, most_words: int) -> list[str]:
    if len(sentence.split()) <= most_words:
        return [sentence]
    pieces: list[list[str]] = [[]]
    for clause in _CLAUSE.split(sentence):
        words = clause.split()
        if len(pieces[-1]) + len(words) > most_words:
            pieces.append([])
        while len(words) > most_words:
            pieces[-1:] = [words[:most_words], []] if not pieces[-1] else [pieces[-1], words[:most_words], []]
            words = words[most_words:]
        pieces[-1] += words
    return [" ".join(words) for words in pieces if words]


def beginning(pieces: Sequence[str], most_words: int) -> str:
    """Returns as many whole pieces from the beginning as fit; always the first.

    Example:
        >>> beginning(["The liver is normal.", "No effusion.", "End."], 6)
        'The liver is normal. No effusion.'
    """
    kept: list[str] = []
    for piece in pieces:
        if kept and sum(len(one.split()) for one in (*kept, piece)) > most_words:
            break
        kept.append(piece)
    return " ".join(kept)
