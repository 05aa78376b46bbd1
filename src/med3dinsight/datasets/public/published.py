"""What a folder lacks, or has too much of, against what was published."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from ...records import LeftOut

#: So many names are written out where many are odd.
NUM_NAMES = 5


def short_of(directory: Path, what: str, found: int, published: int, hint: str = "") -> list[LeftOut]:
    """Tells where fewer or more were found than were published.

    Args:
        directory: The folder.
        what: What is counted, in the plural.
        found: How many were found.
        published: How many there are.
        hint: What to do about it; empty: download the rest.

    Returns:
        One row, or none where the numbers are the same.

    Example:
        >>> short_of(Path("MM-WHS"), "volumes of ct_train", 13, 20)[0].reason
        '13 of 20 volumes of ct_train'
    """
    if found == published:
        return []
    if found > published:
        reason = f"{found} {what}, but {published} were published"
        return [LeftOut(str(directory), reason, hint or "remove what is not of this data set")]
    return [LeftOut(str(directory), f"{found} of {published} {what}", hint or "download the rest")]


def unknown(directory: Path, what: str, names: Iterable[str], published: Collection[str]) -> list[LeftOut]:
    """Tells which names were never published.

    Args:
        directory: The folder.
        what: What is named, in the plural.
        names: The names that were found.
        published: All that there are.

    Returns:
        One row, or none where all are known.
    """
    odd = sorted(set(names) - set(published))
    if not odd:
        return []
    return [LeftOut(str(directory), f"{what} that were never published: {listed(odd)}", "check where they come from")]


def listed(names: Collection[str]) -> str:
    """Returns names with commas between them, the first few where there are many.

    Example:
        >>> listed(["a", "b"]), listed([str(number) for number in range(9)])
        ('a, b', '0, 1, 2, 3, 4 and 4 more')
    """
    some = list(names)[:NUM_NAMES]
    more = len(names) - len(some)
    return ", ".join(some) + (f" and {more} more" if more else "")
