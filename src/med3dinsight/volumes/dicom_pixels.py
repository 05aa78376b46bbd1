"""The voxels of DICOM planes: stored values out of a file's bytes, and from those to units (HU for CT)."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .dicom_codecs import CODECS, Decoder, split_frames
from .dicom_records import DicomFile, Pixels, Plane

_NATIVE = frozenset(f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2", ".1.99"))
_UNDEFINED = 0xFFFFFFFF
#: Bytes that may follow the voxels in a deflated file.
_MAX_TAIL = 1 << 20
_AGAIN = "copy or export it again"


def read_voxels(planes: Sequence[Plane], files: Sequence[DicomFile]) -> tuple[NDArray[Any], str]:
    """Reads the voxels of planes.

    Values are ``slope * stored + intercept`` by each plane's own numbers: whole numbers stay integers (int16
    or uint16 where they fit, else int32), others become float32. The photometric interpretation says how a
    plane is shown, not what its values mean: MONOCHROME1 is not inverted.

    Args:
        planes: In the order of the result, all of one size.
        files: The files they lie in.

    Returns:
        ``(column, row, plane)``, and the SHA-256 of the files' bytes in order of their first plane.

    Raises:
        InputError: A file is truncated or damaged, its codec is missing, or it changed since its header was read.
    """
    columns, rows = planes[0].size
    whole = all(plane.slope.is_integer() and plane.intercept.is_integer() for plane in planes)
    values: NDArray[Any] = np.empty((len(planes), rows, columns), np.int16 if whole else np.float32)
    places: dict[Path, list[int]] = {}
    for index, plane in enumerate(planes):
        places.setdefault(plane.path, []).append(index)
    by_path = {file.path: file for file in files}
    digest = hashlib.sha256()
    with Decoder() as decoder:
        for path, indices in places.items():
            raw = path.read_bytes()
            digest.update(raw)
            stored = _StoredPlanes(path.name, by_path[path].pixels, raw, decoder)
            for index in indices:
                plane = planes[index]
                scaled = _rescale(stored.read(plane.frame, plane.size), plane, whole)
                if whole and values.dtype == np.int16 and not _fits(scaled, np.int16):
                    values = values.astype(np.int32)
                values[index] = scaled
    if values.dtype == np.int32 and _fits(values, np.uint16):
        values = values.astype(np.uint16)
    return values.T, digest.hexdigest()


def _fits(values: NDArray[Any], kind: type[np.integer[Any]]) -> bool:
    limits = np.iinfo(kind)
    return bool(values.min() >= limits.min and values.max() <= limits.max)


def _rescale(stored: NDArray[Any], plane: Plane, whole: bool) -> NDArray[Any]:
    if whole:
        large = stored.dtype.itemsize > 2 or max(abs(plane.slope), abs(plane.intercept)) > 1 << 14
        wide = stored.astype(np.int64 if large else np.int32)
        return np.asarray(wide * int(plane.slope) + int(plane.intercept))
    return (stored * plane.slope + plane.intercept).astype(np.float32)


@dataclass(frozen=True)
class _Element:
    """Where the bytes of the voxels lie; the length is None where they are in fragments."""

    start: int
    length: int | None


class _StoredPlanes:
    """The stored values of one file, plane by plane."""

    def __init__(self, name: str, pixels: Pixels | None, raw: bytes, decoder: Decoder) -> None:
        if pixels is None:
            raise InputError(f"{name} holds no voxels", _AGAIN)
        self._pixels, self._name, self._decoder = pixels, name, decoder
        syntax = pixels.syntax
        if syntax not in _NATIVE and syntax not in CODECS:
            raise InputError(
                f"{self._name} has the transfer syntax {syntax}, which is not read",
                "convert it, for example to explicit little endian",
            )
        self._data = memoryview(raw)
        self._frames: list[bytes] = []

    def read(self, frame: int, size: tuple[int, int]) -> NDArray[Any]:
        """Returns the stored values of a plane, ``(row, column)``."""
        if self._pixels.syntax in _NATIVE:
            values = self._native(frame, size)
        else:
            if not self._frames:
                element = _element(self._pixels, self._data, self._name)
                if element.length is not None:
                    raise InputError(f"{self._name} is compressed, and its voxels are not in fragments", _AGAIN)
                self._frames = split_frames(self._data[element.start :], self._pixels.frames, self._name)
            values = self._decoder.decode(self._frames[frame], self._pixels, size, self._name)
        return _used_bits(values, self._pixels)

    def _native(self, frame: int, size: tuple[int, int]) -> NDArray[Any]:
        pixels = self._pixels
        width = pixels.bits[0] // 8
        plane_bytes = size[0] * size[1] * width
        expected = plane_bytes * pixels.frames
        if pixels.deflated_at and not self._frames:
            inflated = _inflate(self._data[pixels.deflated_at :], pixels.offset + expected + _MAX_TAIL, self._name)
            self._frames, self._data = [b""], memoryview(inflated)
        element = _element(pixels, self._data, self._name)
        if element.length is None:
            raise InputError(f"{self._name} is not compressed, and its voxels are in fragments", _AGAIN)
        there = min(element.length, len(self._data) - element.start)
        if there < expected or element.length > len(self._data) - element.start:
            raise InputError(f"{self._name} is truncated: {there} of {expected} bytes of voxels", _AGAIN)
        if there >= expected + size[0] * width:
            raise InputError(f"{self._name} holds {there} bytes of voxels, its header declares {expected}", _AGAIN)
        start = element.start + frame * plane_bytes
        kind = f"{'<' if pixels.little else '>'}{'i' if pixels.signed else 'u'}{width}"
        return np.frombuffer(self._data, kind, size[0] * size[1], start).reshape(size[1], size[0])


def _element(pixels: Pixels, data: memoryview, name: str) -> _Element:
    """Finds the bytes of the voxels, whose element begins where the header ended."""
    order = "<" if pixels.little else ">"
    head = bytes(data[pixels.offset : pixels.offset + 12])
    if len(head) < 8:
        raise InputError(f"{name} is truncated: it ends before its voxels", _AGAIN)
    if struct.unpack(order + "HH", head[:4]) != (0x7FE0, 0x0010):
        raise InputError(f"{name} holds no voxels in the form of a CT or MR slice", _AGAIN)
    if pixels.implicit:
        start, length = pixels.offset + 8, int(struct.unpack(order + "I", head[4:8])[0])
    else:
        if head[4:6] not in (b"OB", b"OW", b"UN") or len(head) < 12:
            raise InputError(f"{name} holds voxels of the type {head[4:6]!r}", _AGAIN)
        start, length = pixels.offset + 12, int(struct.unpack(order + "I", head[8:12])[0])
    return _Element(start, None if length == _UNDEFINED else length)


def _inflate(data: memoryview, limit: int, name: str) -> bytes:
    """Inflates a deflated data set up to a limit: a bomb grows by a factor of 1000."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = stream.decompress(data, limit)
    except zlib.error as error:
        raise InputError(f"{name} is damaged: {error}", _AGAIN) from None
    if not stream.eof and stream.unconsumed_tail:
        raise InputError(f"{name} grows beyond the {limit} bytes that its header declares", "do not use this file")
    return inflated


def _used_bits(values: NDArray[Any], pixels: Pixels) -> NDArray[Any]:
    """Keeps the bits that are in use: the others may hold anything (overlays in old files)."""
    allocated, stored, high = pixels.bits
    if stored == allocated:
        return values
    order = values.dtype.newbyteorder("=")
    up = np.left_shift(values.astype(order, copy=False), allocated - 1 - high)
    return np.right_shift(up, allocated - stored)  # of signed values: the sign comes along
