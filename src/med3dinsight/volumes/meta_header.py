"""The header of a MetaImage file (``.mha``, ``.mhd``), read and checked by ourselves.

The usual reader takes a wrong checksum, and hands out whatever lay in memory where the header does not say how
long the packed voxels are.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..types import Modality
from .layout import VoxelLayout
from .orientation import LPS_TO_RAS, check_affine
from .text_header import MAX_HEADER, TextHeader, broken, lengths, numbers, required, whole

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_MODALITIES: dict[str, Modality] = {"MET_MOD_CT": "ct", "MET_MOD_MR": "mr"}
_MATRIX = ("TransformMatrix", "Rotation", "Orientation")
_ORIGIN = ("Offset", "Position", "Origin")
_SPACING = ("ElementSpacing", "ElementSize")
_BYTE_ORDER = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_SCALING = {"ElementToIntensityFunctionSlope": 1.0, "ElementToIntensityFunctionOffset": 0.0}


def parse_meta(head: bytes, name: str) -> TextHeader:
    """Reads and checks the header at the start of a file.

    Args:
        head: The first bytes of the file.
        name: Its name, for messages.

    Raises:
        InputError: It is no such header, or what it declares makes no 3D volume (or several as channels).
    """
    fields, end = _fields(head, name)
    if fields.get("ObjectType", "Image") != "Image":
        raise InputError(f"{name} is a MetaImage of another kind: {fields['ObjectType'][:40]!r}", "give an image")
    dimensions = whole(required(fields, "NDims", name), "NDims", name)
    if dimensions not in (3, 4):
        raise InputError(f"{name} is not one 3D volume: it has {dimensions} axes", "give one 3D volume a file")
    sizes = lengths(required(fields, "DimSize", name), dimensions, "DimSize", name)
    components = lengths(fields.get("ElementNumberOfChannels", "1"), 1, "ElementNumberOfChannels", name)[0]
    channels = [count for count in (components, *sizes[3:]) if count > 1]
    if len(channels) > 1:
        raise InputError(f"{name} is 5D: {components} numbers a voxel of {sizes}", "split it into 3D or 4D files")
    for key, plain in _SCALING.items():
        if key in fields and numbers(fields[key], 1, key, name) != [plain]:
            raise InputError(f"{name} scales its intensities ({key}), which readers leave out", "save them scaled")
    affine, notes = _affine(fields, dimensions, name)
    layout = VoxelLayout(
        shape=(sizes[0], sizes[1], sizes[2]),
        affine=affine,
        dtype=_dtype(fields, name),
        num_channels=channels[0] if channels else 1,
        channel_axis=0 if components > 1 else 3,
        notes=notes,
    )
    return _placed(fields, layout, end, name)


def _fields(head: bytes, name: str) -> tuple[dict[str, str], int]:
    """Returns the fields and the byte after the header; it ends with the line that says where the voxels are."""
    fields: dict[str, str] = {}
    for line in re.finditer(rb"([^\n]*)\n", head):
        found = re.fullmatch(r"\s*([!-~][ -~]*?)\s*[=:]\s*(.*?)\s*", line[1].decode("latin-1"))
        if found is None:
            break
        key, value = found.groups()
        if key in fields:
            raise broken(name, f"it says {key} twice")
        fields[key] = value
        if key == "ElementDataFile":
            return fields, line.end()
    if "NDims" in fields:
        raise broken(name, "it lacks ElementDataFile")
    raise InputError(f"{name} is not a MetaImage file", "give NIfTI, NRRD, MHA or a DICOM folder")


def _dtype(fields: dict[str, str], name: str) -> np.dtype[Any]:
    kind = required(fields, "ElementType", name)
    if kind.removesuffix("_ARRAY") not in _TYPES:
        raise InputError(f"{name} has a voxel type that nobody knows: {kind[:40]!r}", "export it again")
    orders = {_truth(fields, key, name) for key in _BYTE_ORDER if key in fields}
    if len(orders) > 1:
        raise broken(name, "it names two byte orders")
    return np.dtype((">" if True in orders else "<") + _TYPES[kind.removesuffix("_ARRAY")])


def _truth(fields: dict[str, str], key: str, name: str, default: str = "False") -> bool:
    word = fields.get(key, default)
    if word.lower() not in ("true", "false"):
        raise broken(name, f"{key} is {word[:40]!r}, not True or False")
    return word.lower() == "true"


def _one_of(fields: dict[str, str], keys: tuple[str, ...]) -> str | None:
    return next((key for key in keys if key in fields), None)


def _affine(fields: dict[str, str], dimensions: int, name: str) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    affine, notes = np.eye(4), []
    key = _one_of(fields, _SPACING)
    if key is None:
        raise InputError(f"{name} says nothing of its voxel size", "save it with ElementSpacing")
    spacing = np.array(numbers(fields[key], dimensions, key, name)[:3])
    if key := _one_of(fields, _MATRIX):
        matrix = np.reshape(numbers(fields[key], dimensions**2, key, name), (dimensions, dimensions))
        affine[:3, :3] = matrix[:3, :3].T  # a row of the field is the direction of an axis
    else:
        notes.append("the header says nothing of the direction of its axes: read as left, posterior, superior")
    affine[:3, :3] *= spacing
    if key := _one_of(fields, _ORIGIN):
        affine[:3, 3] = numbers(fields[key], dimensions, key, name)[:3]
    return check_affine(LPS_TO_RAS @ affine, name), tuple(notes)


def _placed(fields: dict[str, str], layout: VoxelLayout, end: int, name: str) -> TextHeader:
    packed = _truth(fields, "CompressedData", name)
    if not _truth(fields, "BinaryData", name, default="True"):
        raise InputError(f"{name} keeps its voxels as text", "save it in binary form")
    part = fields["ElementDataFile"]
    part = "" if part.upper() == "LOCAL" else part
    skip = whole(fields.get("HeaderSize", "0"), "HeaderSize", name)
    if skip < -1 or (skip > 0 and not part) or (skip and packed) or end > MAX_HEADER:
        raise broken(name, f"HeaderSize is {skip}")
    start = None if skip == -1 else (skip if part else end)
    modality = _MODALITIES.get(fields.get("Modality", ""))
    return TextHeader(layout, "zlib" if packed else "raw", part, start, modality)
