"""Texts in which a language model says that it will not, or cannot, describe the picture."""

from __future__ import annotations

import re

_REFUSAL = re.compile(
    r"\bas an ai\b|\bas a (?:large )?language model\b"
    r"|\bi(?:'m| am) (?:sorry|unable|not able|not qualified)\b|\bi (?:apologi[sz]e|must decline)\b"
    r"|\bi (?:cannot|can't|can not|won't|will not|do not|don't) (?:\w+ ){0,2}"
    r"(?:help|assist|provide|describe|analy[sz]e|interpret|determine|identify|comply|view|see|give|offer)\b"
    r"|\bunable to (?:view|see|analy[sz]e|interpret|describe|process|assist|provide)\b"
    r"|\b(?:please )?consult (?:a|your) (?:doctor|physician|radiologist|healthcare)\b",
    re.IGNORECASE,
)
#: A refusal stands at the beginning or is all there is.
_READ_CHARACTERS = 2000


def is_refusal(text: str) -> bool:
    """Returns whether a text refuses to describe its picture.

    Example:
        >>> is_refusal("I'm sorry, but I can't help with that."), is_refusal("The liver is seen.")
        (True, False)
    """
    return _REFUSAL.search(text[:_READ_CHARACTERS].replace("\u2019", "'")) is not None
