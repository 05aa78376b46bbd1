"""The headers of DICOM files: which files of a folder are DICOM, and one quick pass over what they say."""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError
from .dicom_flags import picture_flags
from .dicom_frames import frame_planes
from .dicom_planes import Facts, plane_of
from .dicom_records import DicomFile, Pixels, Plane

IMPLICIT, EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
#: Header bytes that are inflated at most; a bomb would grow to any size.
_MAX_INFLATED_HEADER = 1 << 21
#: Voxels of a plane: more than any scanner gives, little enough to be allocated.
_MAX_PLANE = 1 << 26
_MAX_FRAMES = 1 << 16
#: The elements that are looked at, by number: looking them up by name would take a third of the time.
_NAMES = {
    0x00080016: "SOPClassUID",
    0x00100020: "PatientID",
    0x0020000E: "SeriesInstanceUID",
    0x0008103E: "SeriesDescription",
    0x00080060: "Modality",
    0x00080008: "ImageType",
    0x00280004: "PhotometricInterpretation",
    0x00280301: "BurnedInAnnotation",
    0x00280010: "Rows",
    0x00280011: "Columns",
    0x00280002: "SamplesPerPixel",
    0x00280008: "NumberOfFrames",
    0x00280030: "PixelSpacing",
    0x00200037: "ImageOrientationPatient",
    0x00200032: "ImagePositionPatient",
    0x00200013: "InstanceNumber",
    0x00280100: "BitsAllocated",
    0x00280101: "BitsStored",
    0x00280102: "HighBit",
    0x00280103: "PixelRepresentation",
    0x00281053: "RescaleSlope",
    0x00281052: "RescaleIntercept",
    0x00283000: "ModalityLUTSequence",
    0x00180086: "EchoNumbers",
    0x00180081: "EchoTime",
    0x00200100: "TemporalPositionIdentifier",
    0x00189087: "DiffusionBValue",
    0x00189089: "DiffusionGradientOrientation",
    0x00181060: "TriggerTime",
    0x00209241: "NominalPercentageOfCardiacPhase",
    0x00200012: "AcquisitionNumber",
    0x52009229: "SharedFunctionalGroupsSequence",
    0x52009230: "PerFrameFunctionalGroupsSequence",
}
_TAGS: list[Any] = list(_NAMES)


def is_dicom(path: Path) -> bool:
    """Says whether a file begins like a DICOM file: 128 bytes and ``DICM``, or at once with an element of group 8 or 2.

    A file of the second kind need not be one; its header decides.
    """
    try:
        with path.open("rb") as handle:
            head = handle.read(132)
    except OSError:
        return False
    return head[128:] == b"DICM" or _begins_with_element(head)


def series_files(folder: Path) -> list[Path]:
    """Returns the DICOM files that lie directly in a folder, sorted by name; ``DICOMDIR`` is none of them."""
    files = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return sorted(path for path in files if path.name.upper() != "DICOMDIR" and is_dicom(path))


def read_headers(place: Path) -> tuple[DicomFile, ...]:
    """Reads the headers of the DICOM files of a folder, or of one file; voxels are not touched.

    A file that cannot be used is listed with its problem. The headers of the last few folders are kept as
    long as the names, sizes and times of their files stay the same.
    """
    files = [place] if place.is_file() else series_files(place)
    stamps = [(path.name, *_stamp(path)) for path in files]
    return _read_headers(place.parent if place.is_file() else place, tuple(stamps))


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=4)
def _read_headers(folder: Path, stamps: tuple[tuple[str, int, int], ...]) -> tuple[DicomFile, ...]:
    with warnings.catch_warnings():  # pydicom warns of every value that is not as it should be
        warnings.simplefilter("ignore")
        found = (_read_header(folder / name, size) for name, size, _ in stamps)
        return tuple(file for file in found if file is not None)


def _read_header(path: Path, size: int) -> DicomFile | None:
    """Returns what a file says; None for one without the DICOM mark that turns out to be something else."""
    marked, image = True, True
    series, modality, description, patient = "", "", "", ""
    found: Pixels | None = None
    planes: tuple[Plane, ...] = ()
    problem = ""
    flags: tuple[str, ...] = ()
    try:
        with path.open("rb") as handle:
            marked = handle.read(132)[128:] == b"DICM"
            data, found = _parse(handle, marked)
        if not marked and not _sop_class(data):
            return None
        series, modality = _text(data.get("SeriesInstanceUID")), _text(data.get("Modality"))
        description, patient = _text(data.get("SeriesDescription")), _stand_in(_text(data.get("PatientID")))
        kind, flags = _sop_class(data), picture_flags(data)
        image = "Rows" in data or not kind or "Image" in kind
        if not image:
            raise InputError(f"holds no image ({kind})", "")
        found = _described(data, found)
        framed = "PerFrameFunctionalGroupsSequence" in data
        planes = frame_planes(path, data, found.frames) if framed else (plane_of(path, data),)
    except InputError as error:
        problem = error.message
    # A parser that is fed a stranger's bytes raises nearly everything there is; each of it means: not readable.
    except Exception as error:
        if not marked:
            return None
        problem = f"is no readable CT or MR slice: {_text(error, 160) or type(error).__name__}"
    return DicomFile(path, size, series, modality, description, found, planes, problem, image, patient, flags)


def _stand_in(patient_id: str) -> str:
    return hashlib.sha256(patient_id.encode()).hexdigest()[:16] if patient_id else ""


def _parse(handle: BinaryIO, marked: bool) -> tuple[Facts, Pixels]:
    """Returns the elements that are looked at, by name, and where the voxels begin."""
    from pydicom.filereader import read_dataset

    handle.seek(132 if marked else 0)
    syntax, start = _transfer_syntax(handle)
    deflated_at = start if syntax == DEFLATED else 0
    if deflated_at:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        handle = io.BytesIO(inflate.decompress(handle.read(), _MAX_INFLATED_HEADER))
    # pydicom looks itself whether elements have a VR, whatever the syntax says.
    data: Any = read_dataset(handle, syntax == IMPLICIT, syntax != BIG_ENDIAN, None, _at_voxels, specific_tags=_TAGS)
    implicit, little = data.original_encoding
    pixels = Pixels(syntax, bool(implicit), bool(little), handle.tell(), deflated_at, (0, 0, 0), False, 1)
    return _facts(data), pixels


def _transfer_syntax(handle: BinaryIO) -> tuple[str, int]:
    """Reads the elements of group 2; returns the transfer syntax (little endian where none is said) and their end."""
    syntax = EXPLICIT
    while True:
        start = handle.tell()
        head = handle.read(8)
        if head[:2] != b"\x02\0" or len(head) < 8:
            handle.seek(start)
            return syntax, start
        if head[4:6] in (b"OB", b"OW", b"UN", b"SQ", b"UT"):
            length = int.from_bytes(handle.read(4), "little")
        else:
            length = int.from_bytes(head[6:8], "little")
        if head[2:4] == b"\x10\0":
            syntax = handle.read(length).decode("ascii", "replace").strip("\0 ")
        else:
            handle.seek(length, io.SEEK_CUR)


def _facts(data: Any) -> Facts:
    return {_NAMES[tag]: data[tag].value for tag in data.keys() if tag in _NAMES}  # noqa: SIM118


def _found(syntax: str, implicit: bool, little: bool, handle: BinaryIO, deflated_at: int) -> Pixels:
    return Pixels(syntax, implicit, little, handle.tell(), deflated_at, (0, 0, 0), False, 1)


def _at_voxels(tag: Any, vr: str | None, length: int) -> bool:
    return int(tag) in (0x7FE00010, 0x7FE00008, 0x7FE00009)


def _described(data: Facts, pixels: Pixels) -> Pixels:
    """Completes the record of the voxels, and refuses what is no plane of numbers."""
    if data.get("Rows") is None or data.get("Columns") is None:
        raise InputError("is no readable CT or MR slice: its header ends before it says its size", "")
    rows, columns, samples = int(data["Rows"]), int(data["Columns"]), int(data.get("SamplesPerPixel") or 1)
    frames = int(data.get("NumberOfFrames") or 1)
    allocated = int(data.get("BitsAllocated") or 0)
    stored = int(data.get("BitsStored") or allocated)
    high = int(stored - 1 if data.get("HighBit") is None else data["HighBit"])
    if samples != 1:
        raise InputError("is a colour picture", "")
    if frames > 1 and "PerFrameFunctionalGroupsSequence" not in data:
        raise InputError("holds many frames without saying where they lie", "")
    if not (0 < rows * columns <= _MAX_PLANE and 0 < frames <= _MAX_FRAMES):
        raise InputError(f"declares {frames} planes of {columns} x {rows} voxels", "")
    if allocated not in (8, 16, 32) or not 0 < stored <= high + 1 <= allocated:
        raise InputError(f"declares {stored} bits (the highest: {high}) in {allocated}", "")
    if data.get("ModalityLUTSequence"):
        raise InputError("holds a table (modality LUT) in place of a slope", "")
    signed = bool(int(data.get("PixelRepresentation") or 0))
    bits = (allocated, stored, high)
    where = (pixels.syntax, pixels.implicit, pixels.little, pixels.offset, pixels.deflated_at)
    return Pixels(*where, bits=bits, signed=signed, frames=frames)


def _begins_with_element(head: bytes) -> bool:
    """Says whether bytes begin with a short element of group 8 or 2: a data set without preamble."""
    group, element = head[:2], head[2:4]
    if len(head) < 132 or group not in (b"\x08\0", b"\x02\0") or element[1:] != b"\0":
        return False
    explicit = head[4:6] in (b"UL", b"CS", b"UI", b"OB", b"DA", b"TM", b"SH", b"LO")
    return explicit or int(struct.unpack("<I", head[4:8])[0]) <= 1 << 10


def _sop_class(data: Facts) -> str:
    """Returns the name of the kind of object; empty where it says none that is known."""
    from pydicom.uid import UID

    uid = UID(str(data.get("SOPClassUID") or ""))
    return uid.name if uid.startswith("1.2.840.10008.5.1.4.") and uid.name != uid else ""


def _text(value: Any, length: int = 64) -> str:
    """Returns a short text without line breaks; a header may hold anything."""
    return "".join(letter for letter in " ".join(str(value or "").split()) if letter.isprintable())[:length]
