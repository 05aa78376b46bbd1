"""The header of a NRRD file (``.nrrd``, ``.nhdr``), read and checked by ourselves.

Worlds: left-posterior-superior, right-anterior-superior and left-anterior-superior are told apart; a file that
names another world, or none, is read as left-posterior-superior, as ITK does, and that is noted.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .layout import VoxelLayout
from .orientation import LPS_TO_RAS, check_affine
from .text_header import TextHeader, broken, lengths, numbers, required, whole

_TYPES = {
    "i1": "signed char|int8|int8_t",
    "u1": "uchar|unsigned char|uint8|uint8_t",
    "i2": "short|short int|signed short|signed short int|int16|int16_t",
    "u2": "ushort|unsigned short|unsigned short int|uint16|uint16_t",
    "i4": "int|signed int|int32|int32_t",
    "u4": "uint|unsigned int|uint32|uint32_t",
    "i8": "longlong|long long|long long int|signed long long|signed long long int|int64|int64_t",
    "u8": "ulonglong|unsigned long long|unsigned long long int|uint64|uint64_t",
    "f4": "float",
    "f8": "double",
}
_DTYPES = {word: kind for kind, words in _TYPES.items() for word in words.split("|")}
_ENCODINGS = {"raw": "raw", "gz": "gzip", "gzip": "gzip", "bz2": "bzip2", "bzip2": "bzip2"}
_FIELDS = """
content number type blocksize dimension space spacedimension sizes spacings thicknesses axismins axismaxs centers
centerings labels units kinds min max oldmin oldmax endian encoding lineskip byteskip sampleunits spaceunits
spaceorigin spacedirections measurementframe datafile
"""
_WORLDS = {
    "left-posterior-superior": (-1.0, -1.0, 1.0),
    "lps": (-1.0, -1.0, 1.0),
    "right-anterior-superior": (1.0, 1.0, 1.0),
    "ras": (1.0, 1.0, 1.0),
    "left-anterior-superior": (-1.0, 1.0, 1.0),
    "las": (-1.0, 1.0, 1.0),
}
_SPATIAL_KINDS = ("domain", "space", "none", "???")
_TRIPLE = re.compile(r"none|\([^()]*\)")


def parse_nrrd(head: bytes, name: str) -> TextHeader:
    """Reads and checks the header at the start of a file.

    Args:
        head: The first bytes of the file.
        name: Its name, for messages.

    Raises:
        InputError: It is no such header, or what it declares makes no 3D volume (or several as channels).
    """
    fields, end = _fields(head, name)
    dimension = whole(required(fields, "dimension", name), "dimension", name)
    if not 1 <= dimension <= 16:
        raise broken(name, f"dimension is {dimension}")
    sizes = lengths(required(fields, "sizes", name), dimension, "sizes", name)
    kinds = fields.get("kinds", "domain " * dimension).lower().split()
    if len(kinds) != dimension:
        raise broken(name, f"it has {len(kinds)} kinds for {dimension} axes")
    if any(kind.endswith("-color") or kind == "complex" for kind in kinds):
        raise InputError(
            f"{name} holds colours or complex numbers ({' '.join(kinds)})", "give one plain number a voxel"
        )
    directions = _directions(fields, dimension, name)
    spatial = _spatial_axes(kinds, directions)
    others = [axis for axis in range(dimension) if axis not in spatial and sizes[axis] > 1]
    if len(spatial) != 3 or len(others) > 1:
        raise InputError(f"{name} is not one 3D volume: its shape is {tuple(sizes)}", "give one 3D volume a file")
    affine, notes = _affine(fields, spatial, directions, dimension, name)
    encoding = _encoding(fields, name)
    skip = whole(fields.get("byteskip", "0"), "byte skip", name)
    if skip < -1 or (skip == -1 and encoding != "raw") or whole(fields.get("lineskip", "0"), "line skip", name) != 0:
        raise broken(name, f"byte skip is {skip} and line skip {fields.get('lineskip', '0')[:12]}")
    layout = VoxelLayout(
        shape=(sizes[spatial[0]], sizes[spatial[1]], sizes[spatial[2]]),
        affine=affine,
        dtype=_dtype(fields, name),
        offset=max(skip, 0),
        num_channels=sizes[others[0]] if others else 1,
        channel_axis=sum(axis < others[0] for axis in spatial) if others else 3,
        notes=notes,
    )
    part = fields.get("datafile", "")
    part = "" if part.upper() == "LOCAL" else part
    return TextHeader(layout, encoding, part, None if skip == -1 else (0 if part else end))


def _fields(head: bytes, name: str) -> tuple[dict[str, str], int]:
    """Returns the fields and the byte after the blank line that ends the header."""
    if not re.match(rb"NRRD\d{4}\r?\n", head):
        raise InputError(f"{name} is not a NRRD file", "give NIfTI, NRRD, MHA or a DICOM folder")
    blank = re.search(rb"\n\r?\n", head)
    text = head[: blank.start() if blank else len(head)].decode("latin-1")
    fields: dict[str, str] = {}
    for line in text.splitlines()[1:]:
        if line.startswith("#") or re.match(r"[^:]+:=", line):
            continue
        key, separator, value = line.partition(":")
        key = key.strip().lower().replace(" ", "")
        if not separator or key not in _FIELDS.split():
            raise broken(name, f"it has a line that is no field: {line[:60]!r}")
        if key in fields:
            raise broken(name, f"it has two fields {key}")
        fields[key] = value.strip()
    if blank is None and "datafile" not in fields:
        raise broken(name, "it never ends")
    return fields, blank.end() if blank else len(head)


def _dtype(fields: dict[str, str], name: str) -> np.dtype[Any]:
    word = required(fields, "type", name).lower()
    if word not in _DTYPES:
        raise InputError(f"{name} has a voxel type that nobody knows: {word[:40]!r}", "export it again")
    kind = _DTYPES[word]
    order = fields.get("endian", "little" if kind.endswith("1") else "missing").lower()
    if order not in ("little", "big"):
        raise broken(name, f"endian is {order[:40]!r}, not little or big")
    return np.dtype((">" if order == "big" else "<") + kind)


def _encoding(fields: dict[str, str], name: str) -> str:
    word = required(fields, "encoding", name).lower()
    if word not in _ENCODINGS:
        reason = f"{name} keeps its voxels in an encoding that is not read: {word[:40]!r}"
        raise InputError(reason, "save it with encoding gzip or raw")
    return _ENCODINGS[word]


def _directions(fields: dict[str, str], dimension: int, name: str) -> list[list[float] | None] | None:
    """Returns the vector of each axis (three numbers; None for an axis that is not in space)."""
    if "spacedirections" not in fields:
        return None
    text = fields["spacedirections"]
    words = _TRIPLE.findall(text.lower())
    if len(words) != dimension or _TRIPLE.sub("", text.lower()).strip():
        raise broken(name, f"space directions is {text[:60]!r}, not {dimension} vectors")
    vectors: list[list[float] | None] = []
    for word in words:
        vector = None
        if word != "none":
            count = 4 if word.count(",") == 3 else 3  # the fourth is time, or the axis of channels
            vector = numbers(word[1:-1].replace(",", " "), count, "space directions", name)
        vectors.append(vector[:3] if vector is not None and any(vector[:3]) else None)
    return vectors


def _spatial_axes(kinds: list[str], directions: list[list[float] | None] | None) -> list[int]:
    if directions is not None:
        return [axis for axis, vector in enumerate(directions) if vector is not None]
    spatial = [axis for axis, kind in enumerate(kinds) if kind in _SPATIAL_KINDS]
    return spatial[:3] if len(spatial) == 4 else spatial  # the fourth of four equal axes holds the channels


def _affine(
    fields: dict[str, str], spatial: list[int], directions: list[list[float] | None] | None, dimension: int, name: str
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    affine, notes = np.eye(4), []
    world = re.sub(r"-time$|(?<=^[lr][ap]s)t$", "", fields.get("space", "").lower())
    if world not in _WORLDS:
        notes.append(f"the header names no known world ({world[:40]!r}): read as left, posterior, superior")
    if directions is not None:
        affine[:3, :3] = np.array([directions[axis] for axis in spatial], dtype=np.float64).T
    else:
        spacing = _spacing(fields, spatial, dimension, name)
        affine[:3, :3] *= spacing
        affine[:3, 3] = _origin_of_axes(fields, spatial, dimension, spacing, name)
    if "spaceorigin" in fields:
        text = fields["spaceorigin"].strip()
        count = text.count(",") + 1
        if not re.fullmatch(r"\([^()]*\)", text) or count not in (3, 4):
            raise broken(name, f"space origin is {text[:60]!r}, no point")
        affine[:3, 3] = numbers(text[1:-1].replace(",", " "), count, "space origin", name)[:3]
    flips = np.diag([*_WORLDS[world], 1.0]) if world in _WORLDS else LPS_TO_RAS
    return check_affine(flips @ affine, name), tuple(notes)


def _per_axis(fields: dict[str, str], key: str, spatial: list[int], dimension: int, name: str) -> list[str]:
    words = fields[key].split()
    if len(words) != dimension:
        raise broken(name, f"{key} has {len(words)} entries for {dimension} axes")
    return [words[axis] for axis in spatial]


def _spacing(fields: dict[str, str], spatial: list[int], dimension: int, name: str) -> NDArray[np.float64]:
    if "spacings" not in fields:
        raise InputError(f"{name} says nothing of its voxel size", "save it with spacings or space directions")
    words = _per_axis(fields, "spacings", spatial, dimension, name)
    return np.array(numbers(" ".join(words), 3, "spacings", name))


def _origin_of_axes(
    fields: dict[str, str], spatial: list[int], dimension: int, spacing: NDArray[np.float64], name: str
) -> NDArray[np.float64]:
    if "axismins" not in fields:
        return np.zeros(3)
    least = np.array(numbers(" ".join(_per_axis(fields, "axismins", spatial, dimension, name)), 3, "axis mins", name))
    key = "centers" if "centers" in fields else "centerings"
    centres = _per_axis(fields, key, spatial, dimension, name) if key in fields else ["cell"] * 3
    shift = [0.0 if word.lower() == "node" else 0.5 for word in centres]  # a cell begins half a voxel before its centre
    return np.asarray(least + np.array(shift) * spacing)
