"""Headers that are text (NRRD, MetaImage): what they share once they are read, and the reading of their numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..errors import InputError
from ..types import Modality
from .layout import VoxelLayout

#: The longest header that is looked at, in bytes.
MAX_HEADER = 1 << 20
#: The longest axis.
MAX_LENGTH = 1 << 31


@dataclass(frozen=True)
class TextHeader:
    """A checked header, and where its voxels are.

    Attributes:
        layout: The voxels.
        encoding: "raw", "gzip", "zlib" or "bzip2".
        part: Name of the file of voxels beside the header, as the header has it; empty where they follow in the same.
        start: Byte of that file at which the (encoded) voxels begin; None where they are its last bytes.
        modality: "ct" or "mr" where the header says so.
    """

    layout: VoxelLayout
    encoding: str
    part: str
    start: int | None
    modality: Modality | None = None


def broken(name: str, reason: str) -> InputError:
    """Returns the error for a header that makes no sense."""
    return InputError(f"{name} has a broken header: {reason}", "export it again")


def numbers(text: str, count: int, key: str, name: str) -> list[float]:
    """Reads so many finite numbers, parted by blanks.

    Raises:
        InputError: There are more or fewer, or one is no finite number.
    """
    try:
        found = [float(word) for word in text.split()]
    except ValueError:
        found = []
    if len(found) != count or not all(map(math.isfinite, found)):
        raise broken(name, f"{key} is {_short(text)}, not {count} finite numbers")
    return found


def lengths(text: str, count: int, key: str, name: str) -> list[int]:
    """Reads the lengths of so many axes, each at least 1.

    Raises:
        InputError: There are more or fewer, or one is no length.
    """
    words = text.split()
    found = [int(word) if word.isascii() and word.isdigit() and len(word) < 12 else 0 for word in words]
    if len(found) != count or not all(1 <= length < MAX_LENGTH for length in found):
        raise broken(name, f"{key} is {_short(text)}, not {count} lengths of axes")
    return found


def whole(text: str, key: str, name: str) -> int:
    """Reads one whole number.

    Raises:
        InputError: It is none, or has more than 12 digits.
    """
    try:
        return int(text) if len(text) <= 12 else int("too long")
    except ValueError:
        raise broken(name, f"{key} is {_short(text)}, no whole number") from None


def required(fields: Mapping[str, str], key: str, name: str) -> str:
    """Returns a field.

    Raises:
        InputError: The header lacks it.
    """
    if key not in fields:
        raise broken(name, f"it lacks {key}")
    return fields[key]


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:60] + "…")
