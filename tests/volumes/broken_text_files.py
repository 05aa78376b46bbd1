"""Broken NRRD and MetaImage files, each with the words that its reason must have; see ``broken_files``."""

from __future__ import annotations

import bz2
import gzip
import os
import zlib
from pathlib import Path

from tests.volumes.broken_files import SHAPE, VALUES, Broken, Writer, link_outside

VOXELS = VALUES.tobytes(order="F")
PACKED = gzip.compress(VOXELS, mtime=0)
ZLIB = zlib.compress(VOXELS)
BOMB = bytes(20 << 20)

NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": " ".join(map(str, SHAPE)),
    "space directions": "(1,0,0) (0,2,0) (0,0,3)",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(0,0,0)",
}
META = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "Offset": "0 0 0",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "ElementSpacing": "1 2 3",
    "DimSize": " ".join(map(str, SHAPE)),
    "ElementType": "MET_SHORT",
    "ElementDataFile": "LOCAL",
}


def nrrd(content: bytes = VOXELS, more: str = "", **changes: str | None) -> Writer:
    """Returns the writer of a ``.nrrd`` file; ``_`` in a key stands for a blank, None drops a field."""
    fields = {**NRRD, **{key.replace("_", " "): value for key, value in changes.items()}}
    lines = [f"{key}: {value}\n" for key, value in fields.items() if value is not None]

    def write(folder: Path) -> Path:
        (folder / "scan.nrrd").write_bytes(("NRRD0004\n" + "".join(lines) + more + "\n").encode() + content)
        return folder / "scan.nrrd"

    return write


def meta(content: bytes = VOXELS, more: str = "", **changes: str | None) -> Writer:
    """Returns the writer of a ``.mha`` file; None drops a field."""
    lines = [f"{key} = {value}\n" for key, value in {**META, **changes}.items() if value is not None]

    def write(folder: Path) -> Path:
        (folder / "scan.mha").write_bytes((more + "".join(lines)).encode() + content)
        return folder / "scan.mha"

    return write


def beside(writer: Writer, make: object, name: str = "voxels.raw") -> Writer:
    """Returns a writer that also makes something beside the header."""

    def write(folder: Path) -> Path:
        make(folder / name)  # type: ignore[operator]
        return writer(folder)

    return write


def flipped(content: bytes, place: int) -> bytes:
    """Returns the content with one bit changed."""
    changed = bytearray(content)
    changed[place] ^= 1
    return bytes(changed)


ELSEWHERE = "only a file of plain name in the same folder"
SOME = "its header declares 672 bytes of content, the file has"
HUGE = "40000 40000 40000"

BROKEN_TEXT: Broken = {
    "nrrd: other text": (lambda folder: _text(folder, "scan.nrrd"), "is not a NRRD file"),
    "nrrd: header without end": (lambda folder: _text(folder, "scan.nrrd", b"NRRD0004\ntype: short"), "it never ends"),
    "nrrd: cut": (nrrd(VOXELS[:-5]), f"{SOME} 667"),
    "nrrd: more than declared": (nrrd(VOXELS + bytes(1 << 20)), "holds more than its header declares"),
    "nrrd: cut gz": (nrrd(PACKED[:-20], encoding="gzip"), "truncated or damaged"),
    "nrrd: gz without its end": (nrrd(PACKED[:-8], encoding="gzip"), "truncated or damaged"),
    "nrrd: wrong checksum": (nrrd(flipped(PACKED, -6), encoding="gzip"), "truncated or damaged"),
    "nrrd: wrong length of gz": (nrrd(flipped(PACKED, -3), encoding="gzip"), "truncated or damaged"),
    "nrrd: gz of half": (nrrd(gzip.compress(VOXELS[:300]), encoding="gzip"), "truncated: 300 of 672 bytes"),
    "nrrd: gz bomb": (nrrd(gzip.compress(BOMB), encoding="gzip"), "holds more than its header declares"),
    "nrrd: bzip2 bomb": (nrrd(bz2.compress(BOMB), encoding="bzip2"), "holds more than its header declares"),
    "nrrd: cut bzip2": (nrrd(bz2.compress(VOXELS)[:-9], encoding="bzip2"), "stream ends too early"),
    "nrrd: flipped bzip2": (nrrd(flipped(bz2.compress(VOXELS), 99), encoding="bzip2"), "truncated or damaged"),
    "nrrd: not packed as said": (nrrd(VOXELS, encoding="gzip"), "truncated or damaged"),
    "nrrd: packed, not as said": (nrrd(gzip.compress(bytes(672))), SOME),
    "nrrd: numbers as text": (nrrd(b"1 2 3", encoding="ascii"), "in an encoding that is not read: 'ascii'"),
    "nrrd: unknown encoding": (nrrd(encoding="zip"), "in an encoding that is not read: 'zip'"),
    "nrrd: no encoding": (nrrd(encoding=None), "it lacks encoding"),
    "nrrd: unknown type": (nrrd(type="shirt"), "a voxel type that nobody knows: 'shirt'"),
    "nrrd: blocks": (nrrd(type="block"), "a voxel type that nobody knows: 'block'"),
    "nrrd: no byte order": (nrrd(endian=None), "endian is 'missing'"),
    "nrrd: unknown byte order": (nrrd(endian="middle"), "endian is 'middle'"),
    "nrrd: no dimension": (nrrd(dimension=None), "it lacks dimension"),
    "nrrd: absurd dimension": (nrrd(dimension="9" * 5000), "dimension is '9999"),
    "nrrd: many axes": (nrrd(dimension="17"), "dimension is 17"),
    "nrrd: 2D": (nrrd(dimension="2", sizes="8 42", space_directions="(1,0,0) (0,2,0)"), "is not one 3D volume"),
    "nrrd: two sizes": (nrrd(sizes="8 42"), "sizes is '8 42', not 3 lengths"),
    "nrrd: negative size": (nrrd(sizes="8 -7 6"), "sizes is '8 -7 6'"),
    "nrrd: size 0": (nrrd(sizes="8 0 6"), "sizes is '8 0 6'"),
    "nrrd: huge": (nrrd(sizes=HUGE), "would take 119209 GiB"),
    "nrrd: too large for gz": (nrrd(PACKED, sizes="900 900 900", encoding="gz"), "declares 1458000000 bytes"),
    "nrrd: sizes twice": (nrrd(more="sizes: 1 1 1\n"), "it has two fields sizes"),
    "nrrd: unknown field": (nrrd(more="space direction: (1,0,0)\n"), "a line that is no field"),
    "nrrd: line of rubbish": (nrrd(more="\x01\x02\n"), "a line that is no field"),
    "nrrd: no voxel size": (nrrd(space_directions=None), "says nothing of its voxel size"),
    "nrrd: nan in directions": (nrrd(space_directions="(nan,0,0) (0,2,0) (0,0,3)"), "space directions is"),
    "nrrd: two directions": (nrrd(space_directions="(1,0,0) (0,2,0)"), "space directions is"),
    "nrrd: direction of length 0": (nrrd(space_directions="(0,0,0) (0,2,0) (0,0,3)"), "is not one 3D volume"),
    "nrrd: parallel directions": (nrrd(space_directions="(1,0,0) (2,0,0) (0,0,3)"), "singular affine"),
    "nrrd: origin is no point": (nrrd(space_origin="(0,0)"), "space origin is"),
    "nrrd: colours": (nrrd(kinds="RGB-color domain domain"), "holds colours or complex numbers"),
    "nrrd: complex": (nrrd(kinds="complex domain domain"), "holds colours or complex numbers"),
    "nrrd: starts beyond": (nrrd(byte_skip="99999999"), "is truncated"),
    "nrrd: starts before": (nrrd(byte_skip="-9"), "byte skip is -9"),
    "nrrd: names /etc/passwd": (nrrd(data_file="/etc/passwd"), ELSEWHERE),
    "nrrd: names a file above": (nrrd(data_file="../../x"), ELSEWHERE),
    "nrrd: names a list": (nrrd(data_file="LIST"), ELSEWHERE),
    "nrrd: names a pattern": (nrrd(data_file="v%03d.raw 1 9 1"), ELSEWHERE),
    "nrrd: names a missing file": (nrrd(data_file="gone.raw"), "keeps its voxels in 'gone.raw', which is missing"),
    "nrrd: names a pipe": (beside(nrrd(data_file="voxels.raw"), os.mkfifo), "which is no regular file"),
    "nrrd: names a folder": (beside(nrrd(data_file="voxels.raw"), Path.mkdir), "which is no regular file"),
    "nrrd: names a link": (beside(nrrd(data_file="voxels.raw"), link_outside), ELSEWHERE),
    "nrrd: names itself": (nrrd(b"", data_file="scan.nrrd"), "is truncated"),
    "meta: other text": (lambda folder: _text(folder, "scan.mha"), "is not a MetaImage file"),
    "meta: bytes": (lambda folder: _text(folder, "scan.mhd", bytes(3000)), "is not a MetaImage file"),
    "meta: cut": (meta(VOXELS[:-5]), f"{SOME} 667"),
    "meta: more than declared": (meta(VOXELS + bytes(1 << 20)), "holds more than its header declares"),
    "meta: cut zlib": (meta(ZLIB[:-20], CompressedData="True"), "stream ends too early"),
    "meta: zlib without its end": (meta(ZLIB[:-4], CompressedData="True"), "stream ends too early"),
    "meta: wrong checksum": (meta(flipped(ZLIB, -1), CompressedData="True"), "truncated or damaged"),
    "meta: zlib bomb": (meta(zlib.compress(BOMB), CompressedData="True"), "holds more than its header declares"),
    "meta: zlib of half": (meta(zlib.compress(VOXELS[:300]), CompressedData="True"), "truncated: 300 of 672 bytes"),
    "meta: not packed as said": (meta(CompressedData="True"), "truncated or damaged"),
    "meta: packed or not": (meta(CompressedData="Maybe"), "CompressedData is 'Maybe', not True or False"),
    "meta: unknown type": (meta(ElementType="MET_SHIRT"), "a voxel type that nobody knows: 'MET_SHIRT'"),
    "meta: no type": (meta(ElementType=None), "it lacks ElementType"),
    "meta: no place of voxels": (meta(ElementDataFile=None), "it lacks ElementDataFile"),
    "meta: no axes": (meta(NDims=None), "it lacks NDims"),
    "meta: no sizes": (meta(DimSize=None), "it lacks DimSize"),
    "meta: 2D": (meta(NDims="2", DimSize="8 42"), "it has 2 axes"),
    "meta: sizes of text": (meta(DimSize="8 seven 6"), "DimSize is '8 seven 6'"),
    "meta: huge": (meta(DimSize=HUGE), "would take 119209 GiB"),
    "meta: sizes twice": (meta(more="DimSize = 1 1 1\n"), "it says DimSize twice"),
    "meta: numbers as text": (meta(BinaryData="False"), "keeps its voxels as text"),
    "meta: scaled": (meta(more="ElementToIntensityFunctionSlope = 2\n"), "scales its intensities"),
    "meta: two byte orders": (meta(more="ElementByteOrderMSB = True\n"), "it names two byte orders"),
    "meta: no voxel size": (meta(ElementSpacing=None), "says nothing of its voxel size"),
    "meta: voxel size 0": (meta(ElementSpacing="0 2 3"), "singular affine"),
    "meta: voxel size nan": (meta(ElementSpacing="nan 2 3"), "ElementSpacing is 'nan 2 3'"),
    "meta: flat matrix": (meta(TransformMatrix="1 0 0 1 0 0 0 0 1"), "singular affine"),
    "meta: matrix of 4": (meta(TransformMatrix="1 0 0 1"), "TransformMatrix is '1 0 0 1', not 9"),
    "meta: 5D": (
        meta(more="ElementNumberOfChannels = 2\n", NDims="4", DimSize="4 4 7 3", ElementSpacing="1 1 1 1"),
        "is 5D",
    ),
    "meta: skips in itself": (meta(more="HeaderSize = 999\n"), "HeaderSize is 999"),
    "meta: a tube": (meta(ObjectType="Tube"), "a MetaImage of another kind: 'Tube'"),
    "meta: names /etc/passwd": (meta(ElementDataFile="/etc/passwd"), ELSEWHERE),
    "meta: names a file above": (meta(ElementDataFile="../secret.raw"), ELSEWHERE),
    "meta: names a list": (meta(ElementDataFile="LIST 2D"), ELSEWHERE),
    "meta: names a device": (meta(ElementDataFile="/dev/zero"), ELSEWHERE),
    "meta: names a missing file": (meta(ElementDataFile="gone.raw"), "which is missing"),
    "meta: names a pipe": (beside(meta(ElementDataFile="voxels.raw"), os.mkfifo), "which is no regular file"),
}


def _text(folder: Path, name: str, content: bytes = b"<html>Not found</html>\n") -> Path:
    (folder / name).write_bytes(content)
    return folder / name
