"""NIfTI files and Analyze 7.5 pairs: a checked decode, and an atomic writer."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from isal import igzip
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..workspace.files import write_bytes
from .decoding import check_size, decode, first_bytes
from .detached import detached_file
from .header import ScanHeader, scan_header
from .inflating import GZIP
from .layout import VoxelLayout, check_channel, voxels
from .nifti_header import HEADER_BYTES, parse_header
from .volume import StoredImage

PAIR_SUFFIX = ".hdr"
SUFFIXES = (".nii", ".nii.gz", PAIR_SUFFIX)
#: What the file of voxels of a pair is called; it may be given instead of the header.
PAIR_VOXELS = ".img"
_LABEL = re.compile(r"<Label\s[^>]*?Key=[\"'](\d+)[\"'][^>]*>\s*(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))\s*</Label>", re.S)


def read_nifti(path: Path, channel: int | None = None) -> StoredImage:
    """Reads a NIfTI file (``.nii``, ``.nii.gz``, version 1 or 2) or a pair (``.hdr`` and ``.img``; Analyze 7.5 too).

    Args:
        path: The file, or the header of the pair.
        channel: Which volume of a 4D file, from 0; None where the file is 3D.

    Raises:
        InputError: It is truncated, damaged, not NIfTI, in colour or complex, has no such channel, or its affine is
            singular.
    """
    layout, part = _parse(path)
    channel = check_channel(channel, layout.num_channels, path.name)
    raw = part.read_bytes()
    digest = hashlib.sha256(raw) if part == path else hashlib.sha256(path.read_bytes())
    if part != path:
        digest.update(raw)
    content = decode(raw, layout.offset + layout.num_bytes, _encoding(raw[:2], path == part), path.name)
    return StoredImage(voxels(layout, content, channel), layout.affine, digest.hexdigest(), notes=layout.notes)


def read_nifti_header(path: Path) -> ScanHeader:
    """Reads what a NIfTI file or an Analyze pair declares; no voxel is decoded.

    Raises:
        InputError: As :func:`read_nifti`, as far as the header shows it.
    """
    layout, part = _parse(path)
    file_bytes = path.stat().st_size + (part.stat().st_size if part != path else 0)
    return scan_header(layout.shape, layout.affine, layout.dtype.itemsize, file_bytes, layout.num_channels)


def _encoding(first: bytes, single: bool) -> str:
    return "gzip" if single and first == GZIP else "raw"  # in a pair those two bytes may be voxels


def _parse(path: Path) -> tuple[VoxelLayout, Path]:
    """Returns what the header declares and the file of voxels; what cannot fit in that file is refused."""
    pair = path.name.lower().endswith(PAIR_SUFFIX)
    with path.open("rb") as handle:
        first = handle.read(2)
        handle.seek(0)
        layout = parse_header(first_bytes(handle, HEADER_BYTES, path.name), path.name, pair)
    part = path
    if pair:
        suffix = PAIR_VOXELS.upper() if path.suffix.isupper() else PAIR_VOXELS
        part = detached_file(path, path.stem + suffix)
    check_size(layout.offset + layout.num_bytes, part.stat().st_size, _encoding(first, single=not pair), path.name)
    return layout, part


def embedded_names(path: Path) -> dict[int, str]:
    """Reads the label table that some segmentation tools write into the header of a label map.

    Returns:
        ``{label value: name}``; empty where the file has none or cannot be read.
    """
    try:
        with path.open("rb") as handle:
            layout = parse_header(first_bytes(handle, HEADER_BYTES, path.name), path.name)
            handle.seek(0)
            text = first_bytes(handle, layout.offset, path.name).decode("utf-8", errors="replace")
    except (InputError, OSError):
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
