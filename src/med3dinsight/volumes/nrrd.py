"""NRRD and MetaImage files: header and voxels are read by ourselves, to the end, as those of NIfTI are.

The usual readers take some broken files for whole ones (a wrong checksum, memory that nobody filled), and read
whatever file a header names.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from .decoding import check_size, decode
from .detached import detached_file
from .header import ScanHeader, scan_header
from .inflating import GZIP
from .layout import check_channel, voxels
from .meta_header import parse_meta
from .nrrd_header import parse_nrrd
from .text_header import MAX_HEADER, TextHeader, broken
from .volume import StoredImage

NRRD_SUFFIXES = (".nrrd", ".nhdr")
META_SUFFIXES = (".mha", ".mhd")
SUFFIXES = (*NRRD_SUFFIXES, *META_SUFFIXES)


def read_nrrd(path: Path, channel: int | None = None) -> StoredImage:
    """Reads a NRRD (``.nrrd``, ``.nhdr``) or MetaImage (``.mha``, ``.mhd``) file.

    Args:
        path: The file.
        channel: Which channel of a 4D file or of a file of vectors, from 0; None where the file is 3D.

    Raises:
        InputError: It is truncated, damaged, in colour, names a file elsewhere, has no such channel, or its affine is
            singular.
    """
    header, part = _parse(path)
    layout = header.layout
    channel = check_channel(channel, layout.num_channels, path.name)
    raw = part.read_bytes()
    digest = hashlib.sha256(raw) if part == path else hashlib.sha256(path.read_bytes())
    if part != path:
        digest.update(raw)
    start = len(raw) - layout.num_bytes if header.start is None else header.start
    encoding = "gzip" if header.encoding == "zlib" and raw[start : start + 2] == GZIP else header.encoding
    content = decode(memoryview(raw)[start:], layout.offset + layout.num_bytes, encoding, path.name)
    values = voxels(layout, content, channel)
    return StoredImage(values, layout.affine, digest.hexdigest(), header.modality, layout.notes)


def read_nrrd_header(path: Path) -> ScanHeader:
    """Reads what a NRRD or MetaImage file declares; no voxel is decoded.

    Raises:
        InputError: As :func:`read_nrrd`, as far as the header shows it.
    """
    header, part = _parse(path)
    layout = header.layout
    file_bytes = path.stat().st_size + (part.stat().st_size if part != path else 0)
    return scan_header(
        layout.shape, layout.affine, layout.dtype.itemsize, file_bytes, layout.num_channels, header.modality
    )


def _parse(path: Path) -> tuple[TextHeader, Path]:
    """Returns the header and the file of voxels; what cannot fit in that file is refused."""
    with path.open("rb") as handle:
        head = handle.read(MAX_HEADER)
    parse = parse_nrrd if path.name.lower().endswith(NRRD_SUFFIXES) else parse_meta
    header = parse(head, path.name)
    part = detached_file(path, header.part) if header.part else path
    size = header.layout.offset + header.layout.num_bytes
    available = part.stat().st_size - (header.start or 0)
    if available < 0:
        raise broken(path.name, f"its voxels start at byte {header.start}, the file has {part.stat().st_size}")
    # Voxels at the end of a file may follow anything.
    check_size(size, min(available, size) if header.start is None else available, header.encoding, path.name)
    return header, part
