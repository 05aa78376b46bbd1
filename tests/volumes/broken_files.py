"""Broken NIfTI files and Analyze pairs, and places that hold no scan: each with the words that its reason must have.

``BROKEN[name] = (write, words)``: ``write(folder)`` makes the broken thing and returns its path.
"""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

Writer = Callable[[Path], Path]
Broken = dict[str, tuple[Writer, str]]

SHAPE = (8, 7, 6)
VALUES = np.random.default_rng(7).integers(-1000, 1000, SHAPE).astype(np.int16)
WHOLE = nib.Nifti1Image(VALUES, np.diag([1.0, 2, 3, 1])).to_bytes()
PACKED = gzip.compress(WHOLE, mtime=0)
FLOATS = VALUES.astype(np.float64)


def patch(place: int, kind: str, *values: float) -> bytes:
    """Returns the whole file with other values at a place of its header."""
    new = struct.pack("<" + kind, *values)
    return WHOLE[:place] + new + WHOLE[place + len(new) :]


def affine(*rows: float) -> bytes:
    """Returns the whole file with another sform."""
    return patch(280, "12f", *rows)


def spoilt(value: float, dtype: str) -> bytes:
    """Returns a file that holds one voxel of that value."""
    values = FLOATS.astype(dtype)
    values[1, 2, 3] = value
    return bytes(nib.Nifti1Image(values, np.eye(4)).to_bytes())


def saved(shape: tuple[int, ...], dtype: object = np.int16) -> bytes:
    """Returns a file of that shape and type."""
    return bytes(nib.Nifti1Image(np.ones(shape, dtype=dtype), np.eye(4)).to_bytes())


def put(content: bytes, name: str = "scan.nii") -> Writer:
    """Returns the writer of one file."""

    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def packed(content: bytes) -> Writer:
    """Returns the writer of a ``.nii.gz`` file with this content, packed or not."""
    return put(content, "scan.nii.gz")


def pair(header: bytes, voxels: bytes | Callable[[Path], None] | None) -> Writer:
    """Returns the writer of a header and its voxels; a function makes something else in their place."""

    def write(folder: Path) -> Path:
        (folder / "scan.hdr").write_bytes(header)
        if callable(voxels):
            voxels(folder / "scan.img")
        elif voxels is not None:
            (folder / "scan.img").write_bytes(voxels)
        return folder / "scan.hdr"

    return write


def made(make: Callable[[Path], object], name: str = "scan.nii") -> Writer:
    """Returns the writer of something that is no regular file."""

    def write(folder: Path) -> Path:
        make(folder / name)
        return folder / name

    return write


def link_outside(path: Path) -> None:
    """Makes a link to a file in another folder."""
    (path.parent / "elsewhere").mkdir()
    (path.parent / "elsewhere" / "voxels.img").write_bytes(VALUES.tobytes())
    path.symlink_to(path.parent / "elsewhere" / "voxels.img")


def analyze() -> bytes:
    """Returns the header of an Analyze 7.5 pair."""
    header = nib.AnalyzeHeader()
    header.set_data_dtype(np.int16)
    header.set_data_shape(SHAPE)
    header.set_zooms((1, 2, 3))
    return bytes(header.binaryblock)


HTML = b"<!DOCTYPE html><html><body>404 Not Found</body></html>" + b" " * 400
RGB = [("R", "u1"), ("G", "u1"), ("B", "u1")]
RGBA = [*RGB, ("A", "u1")]
PAIRED = patch(108, "f", 0)[:344] + b"ni1\0"
ONE = (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)

BROKEN: Broken = {
    "empty": (put(b""), "is truncated: it is empty"),
    "empty gz": (packed(b""), "is truncated: it is empty"),
    "text": (packed(b"no image\n" * 60), "is not a NIfTI file"),
    "web page": (packed(HTML), "is not a NIfTI file"),
    "packed web page": (packed(gzip.compress(HTML)), "is not a NIfTI file"),
    "zeros": (put(bytes(2000)), "is not a NIfTI file"),
    "cut in the header": (put(WHOLE[:200]), "is not a NIfTI file"),
    "cut": (put(WHOLE[:-100]), "is truncated: its header declares 1024 bytes of content, the file has 924"),
    "cut gz": (packed(PACKED[:-100]), "truncated or damaged"),
    "gz cut in the header": (packed(PACKED[:60]), "truncated or damaged"),
    "gz without its end": (packed(PACKED[:-8]), "truncated or damaged"),
    "gz of half a file": (packed(gzip.compress(WHOLE[:600])), "is truncated: 600 of 1024 bytes"),
    "wrong checksum": (packed(PACKED[:-8] + bytes(4) + PACKED[-4:]), "truncated or damaged"),
    "wrong length of gz": (packed(PACKED[:-4] + bytes(4)), "truncated or damaged"),
    "gz with a flipped bit": (packed(PACKED[:300] + bytes([PACKED[300] ^ 4]) + PACKED[301:]), "damaged"),
    "garbage after gz": (packed(PACKED + b"something else"), "truncated or damaged"),
    "more than declared": (put(WHOLE + bytes(1 << 20)), "holds more than its header declares"),
    "bomb": (packed(gzip.compress(WHOLE + bytes(20 << 20), 9)), "holds more than its header declares"),
    "bomb of declared size": (packed(gzip.compress(patch(42, "3h", 32767, 32767, 32767))), "would take 65530 GiB"),
    "large declared size": (packed(gzip.compress(patch(42, "3h", 1500, 1500, 1500))), "declares 6750000352 bytes"),
    "nan": (put(spoilt(np.nan, "f4")), "1 voxels that are NaN or infinite"),
    "infinite": (put(spoilt(-np.inf, "f4")), "1 voxels that are NaN or infinite"),
    "beyond float32": (put(spoilt(1e300, "f8")), "1 voxels that are NaN or infinite"),
    "scaled to infinity": (put(patch(112, "2f", 3e38, 0)), "NaN or infinite"),
    "intercept is no number": (put(patch(112, "2f", 2, np.nan)), "scaling that nobody knows"),
    "affine of zeros": (put(affine(*[0] * 12)), "singular affine"),
    "affine of nan": (put(affine(*[np.nan] * 12)), "singular affine"),
    "flat affine": (put(affine(1, 0, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0)), "singular affine"),
    "sheared affine": (put(affine(1, 1, 0, 0, 0, 0.05, 0, 0, 0, 0, 1, 0)), "singular affine"),
    "voxels too small": (put(affine(1e-9, *ONE[1:])), r"has voxels of 1e-09 x 1 x 1 mm"),
    "voxels too large": (put(affine(1e6, *ONE[1:])), r"has voxels of 1e\+06 x 1 x 1 mm"),
    "far away": (put(affine(1, 0, 0, 1e30, *ONE[4:])), r"lies 1e\+30 mm off"),
    "impossible quaternion": (
        put(patch(252, "2h3f", 1, 0, 0.9, 0.9, 0.9)),
        "broken orientation",
    ),
    "no voxel size": (
        put(patch(252, "2h", 0, 0)[:80] + bytes(12) + patch(252, "2h", 0, 0)[92:]),
        "nothing of its voxel size",
    ),
    "axis of length 0": (put(patch(44, "h", 0)), r"is not a 3D image: its shape is \(8, 0, 6\)"),
    "axis of negative length": (put(patch(44, "h", -7)), r"is not a 3D image: its shape is \(8, -7, 6\)"),
    "nine axes": (put(patch(40, "h", 9)), "has a broken header"),
    "2D": (put(saved((8, 8))), "is not a 3D image"),
    "4D, not asked for": (put(saved((4, 4, 4, 3))), "holds 3 channels"),
    "5D": (put(saved((4, 4, 4, 3, 2))), "is 5D"),
    "rgb": (put(saved((4, 4, 4), RGB)), "holds colours or complex numbers"),
    "rgba": (put(saved((4, 4, 4), RGBA)), "holds colours or complex numbers"),
    "complex": (put(saved((4, 4, 4), np.complex64)), "holds colours or complex numbers"),
    "unknown type": (put(patch(70, "h", 3333)), "has a broken header: data code 3333"),
    "bits": (put(patch(70, "h", 1)), "has a broken header: data code 1"),
    "voxels start nowhere": (put(patch(108, "f", np.nan)), "its voxels start at byte nan"),
    "voxels start before the file": (put(patch(108, "f", -400)), "vox offset -400 too low"),
    "voxels start far off": (put(patch(108, "f", 1e12)), r"its voxels start at byte 1e\+12"),
    "voxels start in the header": (put(patch(108, "f", 16)), "vox offset 16 too low"),
    "half a pair": (put(PAIRED), "keeps its voxels in another file"),
    "cut NIfTI-2": (put(struct.pack("<i", 540) + b"n+2\0\r\n\x1a\n" + bytes(400)), "is not a NIfTI file"),
    "unknown ending": (put(WHOLE, "scan.tif"), "has a format that is not read"),
    "no such file": (lambda folder: folder / "nothing.nii", "no such file"),
    "folder": (made(Path.mkdir, "scan.nii.gz"), "is a folder, though its name is that of a file"),
    "dangling link": (made(lambda path: path.symlink_to("gone.nii")), "is a link to a file that is missing"),
    "link to itself": (made(lambda path: path.symlink_to(path.name)), "is a link to a file that is missing"),
    "pipe": (made(os.mkfifo), "is no regular file"),
    "device": (made(lambda path: path.symlink_to("/dev/zero"), "scan.nii.gz"), "is no regular file"),
    "pair without voxels": (pair(PAIRED, None), "keeps its voxels in 'scan.img', which is missing"),
    "pair with few voxels": (pair(PAIRED, VALUES.tobytes()[:-3]), "declares 672 bytes of content, the file has 669"),
    "pair with many voxels": (pair(PAIRED, bytes(1 << 20)), "holds more than its header declares"),
    "pair with a link": (pair(PAIRED, link_outside), "only a file of plain name in the same folder"),
    "pair with /etc/passwd": (pair(analyze(), lambda path: path.symlink_to("/etc/passwd")), "only a file of plain"),
    "pair with a pipe": (pair(PAIRED, os.mkfifo), "which is no regular file"),
    "pair with a folder": (pair(PAIRED, Path.mkdir), "which is no regular file"),
    "whole file as a pair": (pair(WHOLE, VALUES.tobytes()), "is a whole NIfTI file, not the header of a pair"),
    "text as a pair": (pair(b"ENVI\nsamples = 8\n" * 40, VALUES.tobytes()), "is not a NIfTI or Analyze file"),
    "analyze with few voxels": (pair(analyze(), VALUES.tobytes()[:50]), "declares 672 bytes of content"),
    "analyze of unknown type": (
        pair(analyze()[:70] + b"\xff\x7f" + analyze()[72:], VALUES.tobytes()),
        "data code 32767",
    ),
    "analyze without voxel size": (
        pair(analyze()[:80] + bytes(12) + analyze()[92:], VALUES.tobytes()),
        "nothing of its voxel size",
    ),
    "analyze without axes": (pair(analyze()[:40] + bytes(16) + analyze()[56:], VALUES.tobytes()), "not a 3D image"),
}
