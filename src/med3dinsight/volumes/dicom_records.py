"""What the headers of DICOM files say: one record a file, and one a plane (a slice, or a frame of many)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..types import Vector3


@dataclass(frozen=True)
class Pixels:
    """How a file stores its voxels.

    Attributes:
        syntax: UID of the transfer syntax.
        implicit: Elements have no VR.
        little: Little endian.
        offset: Where the element of the voxels begins; in a deflated file, after inflating the data set.
        deflated_at: Where the deflated data set begins; 0 where it is not deflated.
        bits: Bits allocated, bits stored and the highest bit.
        signed: Two's complement.
        frames: Planes in the file.
    """

    syntax: str
    implicit: bool
    little: bool
    offset: int
    deflated_at: int
    bits: tuple[int, int, int]
    signed: bool
    frames: int


@dataclass(frozen=True)
class Plane:
    """One plane of voxels and its place in the patient (LPS millimetres).

    Attributes:
        path: The file.
        frame: Which plane of the file, from 0.
        size: Columns and rows.
        spacing: Distance between rows and between columns.
        row: Direction in which the column index grows.
        column: Direction in which the row index grows.
        position: Centre of the first voxel.
        number: Instance number (of a frame: its place in the stack), where there is one.
        slope: Stored value to unit (HU for CT): ``slope * value + intercept``.
        intercept: See ``slope``.
        keys: What may tell apart stacks of one series: ``((name, value), ...)``, always the same names.
        localizer: The image type says that it is a localizer (scout).
    """

    path: Path
    frame: int
    size: tuple[int, int]
    spacing: tuple[float, float]
    row: Vector3
    column: Vector3
    position: Vector3
    number: int | None
    slope: float
    intercept: float
    keys: tuple[tuple[str, str], ...]
    localizer: bool


@dataclass(frozen=True)
class DicomFile:
    """One file as its header tells it.

    Attributes:
        path: The file.
        file_bytes: Its size.
        series: SeriesInstanceUID; empty where it cannot be read.
        modality: As in the file ("CT", "MR", "PT" ...).
        description: SeriesDescription.
        pixels: How the voxels are stored; None where there are none to be read.
        planes: Its planes; empty where ``problem`` is set.
        problem: Why it cannot be used, ready for a sentence after its name; empty where it can.
        image: False for objects that hold no image (reports, structure sets ...).
        patient: What stands for the PatientID, which itself is kept nowhere; empty where the file has none.
        flags: What may carry a name in the pixels, see :mod:`.dicom_flags`.
    """

    path: Path
    file_bytes: int
    series: str
    modality: str
    description: str
    pixels: Pixels | None
    planes: tuple[Plane, ...]
    problem: str = ""
    image: bool = True
    patient: str = ""
    flags: tuple[str, ...] = ()
