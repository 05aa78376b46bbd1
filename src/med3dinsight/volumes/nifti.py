"""NIfTI files: a decode that is checked to its end, and an atomic writer.

The stream is decoded by ourselves: to its last byte (so that the checksum of the gzip stream is
compared), and never beyond what the header declares, so that neither half a file nor a bomb passes.
"""

from __future__ import annotations

import hashlib
import io
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from isal import igzip
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..workspace.files import write_bytes
from .orientation import check_affine
from .volume import StoredImage

SUFFIXES = (".nii", ".nii.gz")
#: Largest decoded file that is accepted, in bytes.
MAX_BYTES = 16 << 30
#: A deflate stream cannot grow by more than this factor.
MAX_RATIO = 1032
#: Some writers pad files; more bytes than this after the voxels make a file wrong.
MAX_TRAILING = 1 << 16
#: Largest distance of the voxels from the start of the file: header and extensions.
MAX_OFFSET = 64 << 20

_TRUNCATED = "copy or download it again: it ends too early or is damaged"
_LABEL = re.compile(r"<Label\s[^>]*?Key=[\"'](\d+)[\"'][^>]*>\s*(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))\s*</Label>", re.S)


def read_nifti(path: Path) -> StoredImage:
    """Reads a 3D NIfTI file (``.nii`` or ``.nii.gz``, version 1 or 2).

    Raises:
        InputError: It is truncated, damaged, not NIfTI, not 3D, in colour or complex, or its affine is singular.
    """
    raw = path.read_bytes()
    header, content = _decode(raw, path.name)
    values = _values(header, content, path.name)
    try:
        affine = header.get_best_affine()
    except HeaderDataError as error:
        raise InputError(f"{path.name} has a broken orientation: {error}", "export it again") from None
    return StoredImage(values, check_affine(affine, path.name), hashlib.sha256(raw).hexdigest())


def _open(raw: bytes) -> Any:
    return igzip.IGzipFile(fileobj=io.BytesIO(raw), mode="rb") if raw[:2] == b"\x1f\x8b" else io.BytesIO(raw)


def _decode(raw: bytes, name: str) -> tuple[Any, bytearray]:
    """Returns the header (with extensions) and all bytes that it declares."""
    stream = _open(raw)
    try:
        head = stream.read(540)
        header = _header(head, name)
        size = _declared_size(header, name)
        if size > len(raw) * (MAX_RATIO if raw[:2] == b"\x1f\x8b" else 1):
            raise InputError(f"{name} is truncated: its header declares {size} bytes of content", _TRUNCATED)
        content = bytearray(size)
        content[: len(head)] = head[:size]
        view, done = memoryview(content), min(len(head), size)
        while done < size:
            count = stream.readinto(view[done:])
            if not count:
                raise InputError(f"{name} is truncated: {done} of {size} bytes", _TRUNCATED)
            done += count
        if len(stream.read(MAX_TRAILING + 1)) > MAX_TRAILING:
            raise InputError(f"{name} holds more than its header declares", "export it again: header and voxels differ")
    except (EOFError, zlib.error, OSError) as error:
        raise InputError(f"{name} is truncated or damaged: {error}", _TRUNCATED) from None
    end = int(header["vox_offset"])
    try:
        return type(header).from_fileobj(io.BytesIO(bytes(content[:end]))), content
    except (HeaderDataError, WrapStructError, ValueError, struct.error) as error:
        raise InputError(f"{name} has a broken header: {error}", "export it again") from None


def _header(head: bytes, name: str) -> Any:
    kind: Any
    sizes = {struct.unpack(order + "i", head[:4])[0] for order in "<>"} if len(head) >= 348 else set()
    kind, length = (nib.Nifti2Header, 540) if 540 in sizes else (nib.Nifti1Header, 348)
    magic = head[4:8] if length == 540 else head[344:348]
    if not sizes & {348, 540} or len(head) < length or magic[:1] != b"n":
        raise InputError(f"{name} is not a NIfTI file", "give NIfTI, NRRD, MHA or a DICOM folder")
    if magic[1:2] != b"+":
        raise InputError(f"{name} keeps its voxels in another file", "save it as one .nii or .nii.gz file")
    try:
        return kind(head[:length])
    except (HeaderDataError, WrapStructError) as error:
        raise InputError(f"{name} has a broken header: {error}", "export it again") from None


def _declared_size(header: Any, name: str) -> int:
    shape = tuple(int(length) for length in header.get_data_shape())
    offset = float(header["vox_offset"])
    if len(shape) < 3 or min(shape) < 1:
        raise InputError(f"{name} is not a 3D image: its shape is {shape}", "give one 3D volume a file")
    if not 352 <= offset <= MAX_OFFSET:
        raise InputError(f"{name} has a broken header: its voxels start at byte {offset:g}", "export it again")
    try:
        size = int(offset) + int(np.prod(shape, dtype=object)) * int(header.get_data_dtype().itemsize)
    except HeaderDataError as error:
        raise InputError(f"{name} has a voxel type that nobody knows: {error}", "export it again") from None
    if size > MAX_BYTES:
        raise InputError(f"{name} would take {size >> 30} GiB in memory", f"files up to {MAX_BYTES >> 30} GiB are read")
    return size


def _values(header: Any, content: bytearray, name: str) -> NDArray[Any]:
    shape, dtype = header.get_data_shape(), header.get_data_dtype()
    if any(length != 1 for length in shape[3:]):
        raise InputError(f"{name} is {len(shape)}D: its shape is {shape}", "split it into 3D files")
    if dtype.fields is not None or dtype.kind not in "iuf":
        raise InputError(f"{name} holds colours or complex numbers ({dtype})", "give one plain number a voxel")
    flat = np.frombuffer(content, dtype=dtype, offset=int(header["vox_offset"]), count=int(np.prod(shape)))
    values = flat.reshape(shape[:3], order="F").astype(dtype.newbyteorder("="), copy=False)
    slope, intercept = header.get_slope_inter()
    if slope is None or (slope, intercept) == (1, 0):
        return values
    return values.astype(np.float32) * np.float32(slope) + np.float32(intercept)


def embedded_names(path: Path) -> dict[int, str]:
    """Reads the label table that some segmentation tools write into the header of a label map.

    Returns:
        ``{label value: name}``; empty where the file has none or cannot be read.
    """
    try:
        with path.open("rb") as handle:
            packed = handle.read(2) == b"\x1f\x8b"
            handle.seek(0)
            stream: Any = igzip.IGzipFile(fileobj=handle, mode="rb") if packed else handle
            header = _header(stream.read(540), path.name)
            end = min(int(header["vox_offset"]), MAX_OFFSET)
            stream.seek(0)
            text = stream.read(end).decode("utf-8", errors="replace")
    except (InputError, EOFError, zlib.error, OSError, ValueError, OverflowError):
        return {}
    return {int(key): (first or second).strip() for key, first, second in _LABEL.findall(text)}


def write_nifti(path: Path, array: NDArray[Any], affine: ArrayLike) -> None:
    """Writes a NIfTI file, atomically; compressed where the name ends in ``.gz``.

    Args:
        path: File to write, ``.nii`` or ``.nii.gz``.
        array: ``(i, j, k)`` uint8, int16, uint16, int32 or float32.
        affine: 4 x 4, index to world millimetres (RAS+).
    """
    image = nib.Nifti1Image(array, np.asarray(affine, dtype=np.float64))
    content: bytes = image.to_bytes()
    write_bytes(path, igzip.compress(content, compresslevel=2, mtime=0) if path.suffix == ".gz" else content)
