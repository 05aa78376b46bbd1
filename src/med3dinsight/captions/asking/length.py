"""How long a text may be that goes to the caption ledger, to Parquet and to training."""

from __future__ import annotations

import re

#: Characters of a text that is kept; no tower reads a tenth of it.
MOST_CHARACTERS = 4000
_SENTENCE_END = re.compile(r"[.!?](?=\s)")
_GAP = re.compile(r"\s+")


def shortened(text: str, most: int = MOST_CHARACTERS) -> str:
    """Returns a text, cut where it is too long: after a sentence, else after a word, else within one.

    A place to cut is looked for in the last half, so that no text loses most of what it could keep.

    Args:
        text: As it was written.
        most: Characters that are kept.

    Example:
        >>> shortened("The liver. The spleen, which is large.", most=20), shortened("The large liver", most=12)
        ('The liver.', 'The large')
    """
    if len(text) <= most:
        return text
    # One more character tells whether the last sentence or word ends just there.
    beginning = text[: most + 1]
    sentences = (found.end() for found in _SENTENCE_END.finditer(beginning))
    words = (found.start() for found in _GAP.finditer(beginning))
    for ends in (sentences, words):
        if (last := max(ends, default=0)) >= most // 2:
            return text[:last]
    return text[:most]
