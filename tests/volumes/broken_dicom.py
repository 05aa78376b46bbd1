"""Broken DICOM series and files: each with the words that its reason must have.

``BROKEN_DICOM[name] = (write, words)``: ``write(folder)`` makes the broken thing and returns its path.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from enhanced_dicom import write_enhanced
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import UID
from tests.conftest import write_dicom_series

Writer = Callable[[Path], Path]
SYNTAX = "1.2.840.10008.1.2"
VOXELS = np.random.default_rng(5).integers(-1000, 1500, (40, 36, 6)).astype(np.int16)
FRAMES = (VOXELS + 1024).astype(np.int16)
JPEG = bytes.fromhex("ffd8ffc3000b10002400280101110000")


def series(changes: dict[int, dict[str, Any]] | None = None, **options: Any) -> Writer:
    """Returns the writer of a series with other header fields."""

    def write(folder: Path) -> Path:
        write_dicom_series(folder, VOXELS, changes=changes, **options)
        return folder

    return write


def spoil(change: Callable[[bytes], bytes], number: int = 2) -> Writer:
    """Returns the writer of a series with other bytes in one file."""

    def write(folder: Path) -> Path:
        path = write_dicom_series(folder, VOXELS)[number]
        path.write_bytes(change(path.read_bytes()))
        return folder

    return write


def coded(end: str, frame: Callable[[bytes], bytes], encode: str = "") -> Writer:
    """Returns the writer of a series with one slice of a transfer syntax, and its compressed bytes changed."""

    def write(folder: Path) -> Path:
        path = write_dicom_series(folder, VOXELS)[2]
        data = pydicom.dcmread(path)
        raw = b""
        if encode:
            data.compress(UID(SYNTAX + encode), generate_instance_uid=False)
            raw = next(pydicom.encaps.generate_frames(data.PixelData, number_of_frames=1))
        data.file_meta.TransferSyntaxUID = UID(SYNTAX + end)
        data.PixelData = encapsulate([frame(raw)])
        data["PixelData"].is_undefined_length = True
        data.save_as(path)
        return folder

    return write


def frames(change: Callable[[Any], None] = lambda data: None, **options: Any) -> Writer:
    """Returns the writer of a multi-frame file with a changed data set."""
    return lambda folder: write_enhanced(folder / "frames.dcm", FRAMES, change=change, **options)


def without(path: str) -> Callable[[Any], None]:
    """Returns the change that takes a functional group out of the third frame, or of all."""

    def change(data: Any) -> None:
        for item in (data.SharedFunctionalGroupsSequence[0], data.PerFrameFunctionalGroupsSequence[2]):
            if path in item:
                delattr(item, path)

    return change


def fewer(data: Any) -> None:
    del data.PerFrameFunctionalGroupsSequence[4]


def plain(data: Any) -> None:
    del data.PerFrameFunctionalGroupsSequence


def removed(number: int) -> Writer:
    """Returns the writer of a series that lacks one file."""

    def write(folder: Path) -> Path:
        write_dicom_series(folder, VOXELS)[number].unlink()
        return folder

    return write


def deflated(raw: bytes, body: Callable[[bytes], bytes]) -> bytes:
    """Returns a file whose data set is deflated; ``body`` changes it before."""
    data = raw[132:]
    start = 132 + data.index(b"\x08\0\x16\0UI")
    old = b"1.2.840.10008.1.2.1\0"
    meta = raw[:start].replace(b"UI" + struct.pack("<H", len(old)) + old, b"UI\x16\x00" + b"1.2.840.10008.1.2.1.99")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return meta + packer.compress(body(raw[start:])) + packer.flush()


def long_private(data: bytes) -> bytes:
    """A private element of 512 MB of zeros before everything; it deflates to half a megabyte."""
    return struct.pack("<HH2sHI", 0x0009, 0x1010, b"OB", 0, 1 << 25) + bytes(1 << 25) + data


def table() -> Sequence:
    item = Dataset()
    item.LUTDescriptor = [2, 0, 16]
    return Sequence([item])


HALF = len(VOXELS[:, :, 0].tobytes()) // 2
_PIXELS = b"\xe0\x7f\x10\0OW"
BROKEN_DICOM: dict[str, tuple[Writer, str]] = {
    "missing slice": (removed(2), r"lacks a slice between slice07\.dcm and slice21\.dcm: 5\.00 mm"),
    "doubled slice": (series(positions=[0, 1, 2, 2, 3, 4]), r"two slices at one position: slice14\.dcm and slice21"),
    "uneven gaps": (series(positions=[0, 1, 2, 3.2, 4.2, 5.2]), "slices 2.50 to 3.00 mm apart"),
    "two orientations": (series({2: {"ImageOrientationPatient": [0, 1, 0, 1, 0, 0]}}), r"slice14\.dcm has another ori"),
    "other spacing": (series({2: {"PixelSpacing": [0.5, 0.5]}}), r"slice14\.dcm has another size or pixel spacing"),
    "other rows": (series({2: {"Rows": 18}}), r"slice14\.dcm has another size"),
    "other series": (series({2: {"SeriesInstanceUID": "1.2.3"}}), "2 DICOM series"),
    "hole in the numbers": (series({k: {"InstanceNumber": k + 9} for k in (4, 5)}), "after instance number 4"),
    "sheared": (series({k: {"ImagePositionPatient": [0, 4.0 * k, 2.5 * k]} for k in range(6)}), "sheared by 58 deg"),
    "off the line": (series({3: {"ImagePositionPatient": [-8, 20, -22.5]}}), "off the line of the other slices"),
    "no pixel spacing": (series({2: {"PixelSpacing": None}}), r"slice14\.dcm .*pixel spacing is missing"),
    "pixel spacing of 0": (series({2: {"PixelSpacing": [0, 0.5]}}), "pixel spacing of 0 x 0.5 mm"),
    "no position": (series({2: {"ImagePositionPatient": None}}), "its position is missing"),
    "position with two numbers": (series({2: {"ImagePositionPatient": [1, 2]}}), "its position is missing"),
    "no orientation": (series({2: {"ImageOrientationPatient": None}}), "its orientation is missing"),
    "orientation of length 0": (series({2: {"ImageOrientationPatient": [0] * 6}}), "has no orientation"),
    "slope of 0": (series({2: {"RescaleSlope": 0}}), "rescale slope of 0"),
    "impossible bits": (series({2: {"BitsStored": 17}}), r"declares 17 bits \(the highest: 15\) in 16"),
    "one bit": (series({2: {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}}), "declares 1 bits"),
    "table of values": (series({2: {"ModalityLUTSequence": table()}}), "modality LUT"),
    "colour": (series({2: {"SamplesPerPixel": 3}}), r"slice14\.dcm is a colour picture"),
    "no rows": (series({2: {"Rows": None}}), "ends before it says its size"),
    "terabytes": (series({2: {"Rows": 65535, "Columns": 65535}}), "declares 1 planes of 65535 x 65535 voxels"),
    "many frames, no places": (series({2: {"NumberOfFrames": 3}}), "many frames without saying where they lie"),
    "truncated voxels": (spoil(lambda raw: raw[:-HALF]), rf"slice14\.dcm is truncated: {HALF} of {2 * HALF} bytes"),
    "fewer voxels": (series({2: {"PixelData": b"\0\0"}}), r"slice14\.dcm is truncated: 2 of"),
    "more voxels": (series({2: {"PixelData": bytes(4 * HALF)}}), "its header declares"),
    "no voxels": (spoil(lambda raw: raw[: raw.index(_PIXELS)]), "ends before its voxels"),
    "voxels of another type": (
        spoil(lambda raw: raw.replace(_PIXELS, _PIXELS[:4] + b"FD")),
        "voxels of the type b'FD'",
    ),
    "cut header": (spoil(lambda raw: raw[:400]), r"slice14\.dcm is no readable CT or MR slice"),
    "only the mark": (spoil(lambda raw: raw[:132]), r"slice14\.dcm is no readable CT or MR slice"),
    "garbage": (spoil(lambda raw: raw[:132] + bytes(range(256)) * 9), r"slice14\.dcm is no readable CT or MR slice"),
    "text of a text": (spoil(lambda raw: raw.replace(b"PN", b"??").replace(b"IS\x02\x00", b"IS\xff\xff")), r"slice14"),
    "unknown syntax": (
        spoil(lambda raw: raw.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0")),
        "transfer sy",
    ),
    "video": (coded(".4.102", lambda raw: JPEG), "transfer syntax .*4.102, which is not read"),
    "fragments without compression": (
        spoil(lambda raw: raw[: raw.index(_PIXELS)] + _PIXELS[:4] + b"OB\0\0" + b"\xff" * 4 + encapsulate([JPEG])),
        "is not compressed, and its voxels are in fragments",
    ),
    "compressed without fragments": (
        spoil(lambda raw: raw.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")),
        "is compressed, and its voxels are not in fragments",
    ),
    "no picture": (coded(".4.70", lambda raw: bytes(64)), "its header declares 40 x 36 voxels, its picture none"),
    "picture of another size": (
        coded(".4.70", lambda raw: JPEG.replace(b"\0\x24\0\x28", b"\xff\xff\xff\xff")),
        "its header declares 40 x 36 voxels, its picture 65535 x 65535 voxels",
    ),
    "picture without end": (coded(".4.90", lambda raw: raw[: len(raw) // 2], ".4.90"), "compressed picture has no end"),
    "damaged picture": (coded(".4.70", lambda raw: JPEG + b"\xff\xd9"), r"slice14\.dcm"),
    "damaged RLE": (coded(".5", lambda raw: raw[:64], ".5"), r"slice14\.dcm"),
    "deflate bomb": (
        spoil(lambda raw: deflated(raw, lambda data: data + bytes(1 << 25))),
        r"slice14\.dcm grows beyond the [0-9]+ bytes that its header declares",
    ),
    "deflate bomb in the header": (spoil(lambda raw: deflated(raw, long_private)), r"slice14\.dcm is no readable"),
    "damaged deflate": (
        spoil(lambda raw: deflated(raw, lambda data: data)[:-900]),
        r"slice14\.dcm is (truncated|damaged)",
    ),
    "frames without places": (frames(without("PlanePositionSequence")), r"position is missing \(frame 3\)"),
    "frames without spacing": (frames(without("PixelMeasuresSequence")), r"pixel spacing is missing \(frame 1\)"),
    "frames without orientation": (frames(without("PlaneOrientationSequence")), r"orientation is missing \(frame 1\)"),
    "fewer frames described": (frames(fewer), "declares 6 frames and describes 5"),
    "frames not described": (frames(plain), "many frames without saying where they lie"),
    "frames with a gap": (frames(places=[0, 1, 2, 4, 5, 6]), r"lacks a slice between frames\.dcm frame 3"),
}


def _lonely(folder: Path) -> Path:
    write_dicom_series(folder, VOXELS[:, :, :1])
    return folder


def _position(text: bytes) -> Writer:
    """Returns the writer of a series with another text as position of its third slice."""

    def write(folder: Path) -> Path:
        path = write_dicom_series(folder, VOXELS)[2]
        old = b"-10.0\\20.0\\-25.0"
        raw = path.read_bytes()
        assert raw.count(old) == 1
        path.write_bytes(raw.replace(old, text.ljust(len(old))))
        return folder

    return write


BROKEN_DICOM["one slice"] = (_lonely, "holds 1 DICOM slices")
BROKEN_DICOM["position of NaN"] = (_position(b"-10.0\\nan\\-25.0"), r"slice14\.dcm has a position that is no finite")
BROKEN_DICOM["infinite position"] = (_position(b"1e999\\20\\-25.0"), "has a position that is no finite number")
BROKEN_DICOM["position of words"] = (_position(b"left\\up\\front"), "is no readable CT or MR slice: could not convert")
