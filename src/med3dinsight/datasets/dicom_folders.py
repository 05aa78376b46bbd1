"""The DICOM series of one folder as scans; scouts and what holds no CT or MR volume are left out with a reason."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..records import LeftOut, Source
from ..types import Modality
from ..volumes import nifti
from ..volumes.dicom import is_dicom, list_series
from ..volumes.dicom_series import DicomSeries
from .walking import Folder

_MODALITIES: dict[str, Modality] = {"CT": "ct", "MR": "mr"}
#: What files say that do not know; the intensities decide.
_UNKNOWN = ("", "OT")


@dataclass(frozen=True)
class DicomScan:
    """A series that is a scan.

    Attributes:
        image: Its folder; the file, where it is one file of many frames.
        series: Its UID, where reading ``image`` needs one.
        modality: "ct" or "mr" where the series says so.
        suffix: What tells its id from those of the other scans in ``image``; empty where there are none. It neither
            hangs on what else lies there, nor tells what the header says.
    """

    image: Path
    series: str
    modality: Modality | None
    suffix: str


def dicom_scans(folder: Folder, problems: list[LeftOut]) -> list[DicomScan]:
    """Lists the scans among the DICOM files of a folder.

    Args:
        folder: The folder; only its files of unknown kind are looked into.
        problems: Files and series that are no scans are added.
    """
    series = list_series(folder.path) if folder.unknown else []
    known = {path for item in series for path in item.files}
    for path in folder.unknown:
        if path.suffix.lower() == ".dcm" and path not in known:
            problems.append(LeftOut(str(path), "is called .dcm and is no DICOM file", "copy or export it again"))
        elif path.suffix.lower() == nifti.PAIR_VOXELS and path not in known:
            header = path.with_suffix(nifti.PAIR_SUFFIX).name
            problems.append(LeftOut(str(path), f"the voxels of a pair, and {header} is missing", "copy it too"))
    volumes = []
    for item in series:
        if reason := _why_not(item):
            file = item.files[0] if len(item.files) == 1 else folder.path
            problems.append(LeftOut(str(file), *reason))
        else:
            volumes.append(item)
    return [_scan(folder.path, item, volumes, len(series)) for item in volumes]


def torn_patients(sources: Sequence[Source]) -> list[tuple[str, ...]]:
    """Returns the subjects whose DICOM files say that they are one patient: one tuple a patient, sorted.

    A person under two names can be trained on under one and tested under the other. The files' PatientID is compared,
    never told.
    """
    subjects: dict[str, set[str]] = {}
    for source in sources:
        place = Path(source.image)
        if not place.is_dir() and not is_dicom(place):
            continue
        for item in list_series(place if place.is_dir() else place.parent):
            here = place.is_dir() or place in item.files
            if here and item.patient and item.what == "volume" and source.series in ("", item.uid):
                subjects.setdefault(item.patient, set()).add(source.subject)
    return sorted(tuple(sorted(names)) for names in subjects.values() if len(names) > 1)


def _scan(folder: Path, item: DicomSeries, volumes: Sequence[DicomSeries], listed: int) -> DicomScan:
    if len(item.files) == 1:
        image, stacks = item.files[0], [other for other in volumes if other.files == item.files]
        alone = needless = len(stacks) == 1
    else:
        image, alone = folder, sum(len(other.files) > 1 for other in volumes) == 1
        needless = listed == 1
    suffix = "" if alone else f"_{hashlib.sha256(item.uid.encode()).hexdigest()[:8]}"
    return DicomScan(image, "" if needless else item.uid, _MODALITIES.get(item.modality), suffix)


def _why_not(item: DicomSeries) -> tuple[str, str] | None:
    if item.reason or item.what in ("unreadable", "no image"):
        return item.reason or f"a DICOM object that is {item.what}", item.hint or "nothing, if it is no scan"
    if item.modality not in _MODALITIES and item.modality not in _UNKNOWN:
        return f"a DICOM series of modality {item.modality}, not CT or MR", "convert it to NIfTI, if it is wanted"
    if item.what == "localizer":
        return f"a localizer (scout) of {item.num_slices} slices", "nothing: it is no volume"
    if item.what == "one slice":
        return "a DICOM series of one slice, no volume", "export the whole series, if there is more of it"
    return None
