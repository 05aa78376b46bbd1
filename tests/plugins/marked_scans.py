"""Scans whose every header string, file name and table entry is a marker that can be looked for elsewhere."""

from __future__ import annotations

import csv
import datetime
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from pydicom.datadict import DicomDictionary

#: Elements that the reader needs as they are.
_KEPT = {
    *("SOPClassUID", "SOPInstanceUID", "Modality", "ImageType", "SpecificCharacterSet", "TimezoneOffsetFromUTC"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "InstanceNumber", "AcquisitionNumber"),
    *("EchoNumbers", "EchoTime", "TemporalPositionIdentifier", "TriggerTime", "FrameOfReferenceUID"),
}
_GROUPS = (0x0008, 0x0010, 0x0018, 0x0020, 0x0032, 0x0038, 0x0040)


class Markers:
    """Makes markers and remembers them."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self._numbers: Iterator[int] = itertools.count(1001)

    def text(self, prefix: str = "Marker") -> str:
        """A word."""
        return self._keep(f"{prefix}{next(self._numbers)}Qz")

    def of(self, representation: str) -> str | None:
        """A value of a DICOM value representation; None for those that hold no text."""
        number = next(self._numbers)
        day = datetime.date(1901, 1, 1) + datetime.timedelta(days=number)
        match representation:
            case "PN":
                return self._keep(f"Doe{number}Qz^Jane")
            case "LO" | "SH" | "LT" | "ST" | "UT" | "UC" | "AE":
                return self._keep(f"Mark{number}Qz")
            case "CS":
                return self._keep(f"MARK{number}QZ")
            case "UR":
                return self._keep(f"http://mark{number}qz.example/")
            case "UI":
                return self._keep(f"1.2.826.0.1.99{number}.7")
            case "DA":
                return self._keep(day.strftime("%Y%m%d"))
            case "DT":
                return self._keep(day.strftime("%Y%m%d") + "112233.4455")
            case "TM":
                return self._keep(f"11{number % 60:02d}22.77{number}")
            case "IS":
                return self._keep(f"7700{number}")
            case "DS":
                return self._keep(f"7711{number}.25")
        return None

    def _keep(self, value: str) -> str:
        self.made.append(value)
        return value


def dicom_header(markers: Markers) -> dict[str, Any]:
    """One marker for every text element of the standard's groups about patient, study, series and equipment."""
    header: dict[str, Any] = {}
    for tag, (representation, multiple, _, retired, keyword) in DicomDictionary.items():
        if tag >> 16 in _GROUPS and keyword and not retired and keyword not in _KEPT and multiple in ("1", "1-n"):
            value = markers.of(representation)
            if value is not None:
                header[keyword] = value
    return header


def write_marked(folder: Path, markers: Markers, write_series: Callable[..., list[Path]]) -> Path:
    """Writes a DICOM series, a NIfTI file, an NRRD file, and a table with a report and a data set for each.

    Args:
        folder: Where to; its name should be a marker as well.
        markers: Makes and keeps them.
        write_series: The fixture ``dicom_series``.

    Returns:
        The table, which is the source.
    """
    voxels = np.random.default_rng(0).integers(-900, 900, (20, 22, 18)).astype(np.int16)
    series = folder / markers.text("Folder")
    header = dicom_header(markers)
    paths = write_series(series, voxels, changes=dict.fromkeys(range(18), header))
    for path in paths:
        shutil.move(path, path.with_name(markers.text("File") + ".dcm"))
    files = [series, _nifti(folder, voxels, markers), _nrrd(folder, voxels, markers)]
    columns = ["image", "id", "subject", "origin", "licence", "report", "class"]
    with (folder / "samples.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(columns)
        for file in files:
            writer.writerow([file.relative_to(folder), *(markers.text(name.title()) for name in columns[1:])])
    return folder / "samples.csv"


def _nifti(folder: Path, voxels: NDArray[np.int16], markers: Markers) -> Path:
    image = nibabel.Nifti1Image(voxels, np.diag([-1.0, 1.0, 2.0, 1.0]))
    for name in ("descrip", "aux_file", "intent_name", "db_name"):
        image.header[name] = markers.text("Nifti")
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", markers.text("Extension").encode()))
    path = folder / f"{markers.text('Scan')}.nii.gz"
    nibabel.save(image, path)
    return path


def _nrrd(folder: Path, voxels: NDArray[np.int16], markers: Markers) -> Path:
    path = folder / f"{markers.text('Scan')}.nrrd"
    head = (
        "NRRD0005\n# {comment}\ncontent: {content}\ntype: short\ndimension: 3\nsizes: {sizes}\nencoding: raw\n"
        "endian: little\nspace: left-posterior-superior\nspace directions: (1,0,0) (0,1,0) (0,0,2)\n"
        "space origin: (0,0,0)\n{key}:={value}\n\n"
    )
    names = {name: markers.text("Nrrd") for name in ("comment", "content", "key", "value")}
    sizes = " ".join(map(str, voxels.shape))
    path.write_bytes(head.format(sizes=sizes, **names).encode() + voxels.astype("<i2").tobytes(order="F"))
    return path
