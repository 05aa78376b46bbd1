"""What is noticed about a text that a model wrote. A flagged text is kept as it is, and never asked for again."""

from __future__ import annotations

import re
import unicodedata

#: A text with more characters is "long"; the longest good ones have a third.
LONG = 2000
_MARKUP = re.compile(r"</?[A-Za-z!][^<>]{0,2000}>|\]\(|```|&(?:#\d+|#x[0-9a-f]+|[a-z]{2,8});", re.IGNORECASE)
_LINK = re.compile(r"\b(?:https?|ftp|javascript|data):|\bwww\.[\w-]+\.|\b[\w-]+\.(?:com|org|net|io)/", re.IGNORECASE)
_ADVERB = r"(?:\s+(?:currently|unfortunately|not able to))?"
_REFUSAL = re.compile(
    r"\b(?:i|we)(?:['’]m|['’]re|\s+am|\s+are)?\s+(?:sorry|unable)\b"
    rf"|\b(?:i|we)\s+(?:cannot|can['’]?t|can\s+not|won['’]?t|will\s+not|am\s+not\s+able\s+to){_ADVERB}\s+"
    r"(?:\w+\s+){0,2}(?:assist|help|provide|describe|analy[sz]e|interpret|view|see|comment|diagnose|identify|process)"
    r"|\bas an ai\b|\b(?:no|without an?) image (?:was |is )?(?:provided|attached|given)",
    re.IGNORECASE,
)
_INSTRUCTION = re.compile(
    r"\b(?:ignore|disregard|forget)\s+(?:\w+\s+){0,3}(?:instructions?|prompts?|rules?)\b|\bsystem prompt\b",
    re.IGNORECASE,
)
# "Transverse" is also a colon, a process and a sinus, and T1 and T2 are vertebrae.
_PICTURE = r"(?:CT|MRI?|computed|magnetic|planes?|slices?|sections?|views?|images?|cuts?|scans?|pictures?|orientation)"
_PLANES = {
    "axial": rf"\b(?:axial|transaxial|transverse(?=[ -]{_PICTURE}\b))\b",
    "coronal": r"\bcoronal\b(?!\s+sutures?)",
    "sagittal": r"\b(?:para|mid)?sagittal\b(?!\s+(?:sinus|sutures?))",
}
# Words that only the one modality's texts have. Small, the short ones are other words: "ct", "mr", "flair".
_MODALITIES = {
    "CT": r"\b(?:CT|HU|(?i:computed tomograph\w*|hounsfield))\b",
    "MR": r"\b(?:MRI?|FLAIR|T[12](?i:w|(?=[ -](?:weight|image|signal|sequence|contrast)))"
    r"|(?i:magnetic resonance\w*|(?:hyper|hypo)intense))\b",
}
_PLANE_WORDS = {name: re.compile(pattern, re.IGNORECASE) for name, pattern in _PLANES.items()}
_MODALITY_WORDS = {name: re.compile(pattern) for name, pattern in _MODALITIES.items()}


def flags_of(
    text: str, *, plane: str = "", modality: str = "", said_plane: str = "", said_modality: str = ""
) -> tuple[str, ...]:
    """Returns what is to be noticed about a text, in alphabetical order.

    Args:
        text: As training would read it.
        plane: "axial", "coronal" or "sagittal", as it is known; "" checks no plane.
        modality: "CT" or "MR", as it is known; "" checks no modality.
        said_plane: What the model answered when asked for it; anything but one of the three is no answer.
        said_modality: The same.

    Returns:
        Of "control-characters", "instruction", "link", "long", "markup", "refusal", "wrong-modality", "wrong-plane".

    Example:
        >>> flags_of("A coronal CT slice, see www.example.com", plane="axial", modality="CT")
        ('link', 'wrong-plane')
        >>> flags_of("An axial slice; the superior sagittal sinus is bright.", plane="axial")
        ()
    """
    # What a model says first is read; a pattern over 1 MB would cost more than the answer is worth.
    start = text[: 4 * LONG]
    found = {
        "long": len(text) > LONG,
        "control-characters": any(_is_control(letter) for letter in text),
        "markup": bool(_MARKUP.search(start)),
        "link": bool(_LINK.search(start)),
        "refusal": bool(_REFUSAL.search(start)),
        "instruction": bool(_INSTRUCTION.search(start)),
        "wrong-plane": _contradicts(start, plane.lower(), said_plane.lower(), _PLANE_WORDS),
        "wrong-modality": _contradicts(start, modality.upper(), said_modality.upper(), _MODALITY_WORDS),
    }
    return tuple(sorted(name for name, noticed in found.items() if noticed))


def _is_control(letter: str) -> bool:
    return letter not in "\t\r\n" and unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Co")


def _contradicts(text: str, known: str, said: str, words: dict[str, re.Pattern[str]]) -> bool:
    """Whether the answer or the text names another one, and the text never the right one."""
    if known not in words:
        return False
    if said in words and said != known:
        return True
    named = {name for name, pattern in words.items() if pattern.search(text)}
    return bool(named) and known not in named
