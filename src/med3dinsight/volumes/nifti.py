"""NIfTI files and Analyze pairs: a decode that is checked to its end, and an atomic writer.

The stream is decoded by ourselves: to its last byte (so that the checksum of the gzip stream is
compared), and never beyond what the header declares, so that neither half a file nor a bomb passes.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from isal import igzip
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..workspace.files import write_bytes
from .header import ScanHeader, scan_header
from .inflating import GZIP, inflate
from .layout import VoxelLayout, check_channel, voxels
from .nifti_header import HEADER_BYTES, MAX_OFFSET, parse_header
from .volume import StoredImage

SUFFIXES = (".nii", ".nii.gz")
#: A deflate stream cannot grow by more than this factor.
MAX_RATIO = 1032
#: Some writers pad files; more bytes than this after the voxels make a file wrong.
MAX_TRAILING = 1 << 16

_TRUNCATED = "copy or download it again: it ends too early or is damaged"
_LABEL = re.compile(r"<Label\s[^>]*?Key=[\"'](\d+)[\"'][^>]*>\s*(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))\s*</Label>", re.S)


def read_nifti(path: Path, channel: int | None = None) -> StoredImage:
    """Reads a NIfTI file (``.nii`` or ``.nii.gz``, version 1 or 2).

    Args:
        path: The file.
        channel: Which volume of a 4D file, from 0; None where the file is 3D.

    Raises:
        InputError: It is truncated, damaged, not NIfTI, in colour or complex, has no such channel, or its affine is
            singular.
    """
    layout, _ = _layout(path)
    channel = check_channel(channel, layout.num_channels, path.name)
    raw = path.read_bytes()
    values = voxels(layout, _decode(raw, layout, path.name), channel)
    return StoredImage(values, layout.affine, hashlib.sha256(raw).hexdigest())


def read_nifti_header(path: Path) -> ScanHeader:
    """Reads what a NIfTI file declares; no voxel is decoded.

    Raises:
        InputError: As :func:`read_nifti`, as far as the header shows it.
    """
    layout, file_bytes = _layout(path)
    return scan_header(layout.shape, layout.affine, layout.dtype.itemsize, file_bytes, layout.num_channels)


def _layout(path: Path) -> tuple[VoxelLayout, int]:
    """Returns what the header declares and the bytes of the file; what cannot fit in the file is refused."""
    file_bytes = path.stat().st_size
    with path.open("rb") as handle:
        packed = handle.read(2) == GZIP
        handle.seek(0)
        stream: Any = igzip.IGzipFile(fileobj=handle, mode="rb") if packed else handle
        try:
            head = stream.read(HEADER_BYTES)
        except (EOFError, zlib.error, OSError) as error:
            raise InputError(f"{path.name} is truncated or damaged: {error}", _TRUNCATED) from None
    layout = parse_header(head, path.name)
    size = layout.offset + layout.num_bytes
    if size > file_bytes * (MAX_RATIO if packed else 1):
        raise InputError(f"{path.name} is truncated: its header declares {size} bytes of content", _TRUNCATED)
    if file_bytes > size + size // 64 + 2 * MAX_TRAILING:  # what cannot be packed grows a little when packed
        raise _surplus(path.name)
    return layout, file_bytes


def _surplus(name: str) -> InputError:
    return InputError(f"{name} holds more than its header declares", "export it again: header and voxels differ")


def _decode(raw: bytes, layout: VoxelLayout, name: str) -> bytes:
    """Returns all bytes that the header declares."""
    size = layout.offset + layout.num_bytes
    try:
        content = inflate(raw, size + MAX_TRAILING) if raw[:2] == GZIP else raw
    except (EOFError, zlib.error) as error:
        raise InputError(f"{name} is truncated or damaged: {error}", _TRUNCATED) from None
    if len(content) < size:
        raise InputError(f"{name} is truncated: {len(content)} of {size} bytes", _TRUNCATED)
    if len(content) > size + MAX_TRAILING:
        raise _surplus(name)
    return content


def embedded_names(path: Path) -> dict[int, str]:
    """Reads the label table that some segmentation tools write into the header of a label map.

    Returns:
        ``{label value: name}``; empty where the file has none or cannot be read.
    """
    try:
        with path.open("rb") as handle:
            packed = handle.read(2) == GZIP
            handle.seek(0)
            stream: Any = igzip.IGzipFile(fileobj=handle, mode="rb") if packed else handle
            layout = parse_header(stream.read(HEADER_BYTES), path.name)
            stream.seek(0)
            text = stream.read(min(layout.offset, MAX_OFFSET)).decode("utf-8", errors="replace")
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
