"""Ids of scans that are safe as file names, and the subject of a scan by a pattern."""

from __future__ import annotations

import hashlib
import re

from ..errors import ConfigError

#: Longer ids are cut, and end in a hash of the whole: files are named after them, with something added.
MAX_LENGTH = 120
_SUFFIXES = (".gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img", ".dcm")


def safe_id(path: str) -> str:
    """Turns a relative path into a name that is safe as a file name.

    Example:
        >>> safe_id("Anna B/scan 1.nii.gz")
        'Anna_B-scan_1'
    """
    name = path.strip("/")
    for suffix in _SUFFIXES:
        name = name[: -len(suffix)] if name.lower().endswith(suffix) else name
    kept = (letter if letter.isalnum() or letter in "._-" else "_" for letter in name.replace("/", "-"))
    safe = "".join(kept).lstrip(".") or "scan"
    if len(safe.encode()) <= MAX_LENGTH:
        return safe
    start = safe.encode()[: MAX_LENGTH - 9].decode(errors="ignore")
    return f"{start}-{hashlib.sha256(path.encode(errors='surrogateescape')).hexdigest()[:8]}"


def unique_id(name: str, taken: set[str]) -> str:
    """Adds a number to a name that is taken, and notes the result as taken; capitals make no difference.

    Args:
        name: A safe name.
        taken: The names before it, in small letters; one is added.

    Example:
        >>> taken: set[str] = set()
        >>> [unique_id(name, taken) for name in ("a", "A", "a")]
        ['a', 'A-2', 'a-3']
    """
    candidate, number = name, 2
    while candidate.casefold() in taken:
        candidate, number = f"{name}-{number}", number + 1
    taken.add(candidate.casefold())
    return candidate


def compile_subject_pattern(pattern: str) -> re.Pattern[str] | None:
    """Compiles a subject pattern; an empty one is None.

    Raises:
        ConfigError: It is no regular expression with a group.
    """
    if not pattern:
        return None
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(f"subject_pattern {pattern!r}: {error}", "for example '(sub-[0-9]+)'") from None
    if compiled.groups < 1:
        raise ConfigError(f"subject_pattern {pattern!r} has no group", "for example '(sub-[0-9]+)'")
    return compiled


def subject_of(relative: str, pattern: re.Pattern[str] | None, otherwise: str) -> str:
    """Returns what the first group of a pattern takes out of a path, or ``otherwise`` where it takes nothing.

    Args:
        relative: Path of the scan below the source folder.
        pattern: See :func:`compile_subject_pattern`.
        otherwise: The subject by the rule of the layout.

    Example:
        >>> subject_of("ct/sub-01_a.nii", compile_subject_pattern("(sub-[0-9]+)"), "ct")
        'sub-01'
    """
    match = pattern.search(relative) if pattern else None
    return match.group(1) if match and match.group(1) else otherwise
