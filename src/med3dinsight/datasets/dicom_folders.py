"""The DICOM series of one folder as scans; scouts and what holds no voxels are left out with a reason."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ..records import LeftOut
from ..types import Modality
from ..volumes.dicom import is_dicom, series_files
from .walking import Folder


@dataclass(frozen=True)
class Series:
    """A series that is a scan.

    Attributes:
        uid: Its SeriesInstanceUID; empty for what is no series.
        modality: "ct" or "mr" where the series says so.
        one_of_many: Whether other series lie in the same folder.
    """

    uid: str = ""
    modality: Modality | None = None
    one_of_many: bool = False

    @property
    def short(self) -> str:
        """A short name that does not hang on what else lies in the folder, nor tells what the header says."""
        return hashlib.sha256(self.uid.encode()).hexdigest()[:8]


def find_series(folder: Folder, problems: list[LeftOut]) -> list[Series]:
    """Lists the series of a folder.

    Args:
        folder: The folder; its unknown files are looked into.
        problems: Files and series that are no scans are added.
    """
    for path in folder.unknown:
        if path.suffix.lower() == ".dcm" and not is_dicom(path):
            reason = "is called .dcm and does not begin like a DICOM file"
            problems.append(LeftOut(str(path), reason, "copy or export it again"))
    return [Series()] if series_files(folder.path) else []
