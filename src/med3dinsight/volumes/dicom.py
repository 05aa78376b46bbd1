"""DICOM series in a folder, and enhanced multi-frame files: headers by pydicom, checked, exact to the unit.

The files of a series lie directly in one folder (a series that is spread over several folders is not put
together); names and suffixes do not matter. ``DICOMDIR`` and what it refers to is not followed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..types import Modality
from .dicom_checks import affine_lps, check_stack
from .dicom_files import is_dicom as is_dicom
from .dicom_files import series_files as series_files
from .dicom_pixels import read_voxels
from .dicom_records import Plane
from .dicom_series import DicomSeries as DicomSeries
from .dicom_series import Entry, choose, find_series
from .dicom_stacks import Stack
from .header import ScanHeader, scan_header
from .orientation import check_affine
from .volume import StoredImage

_MODALITIES: dict[str, Modality] = {"CT": "ct", "MR": "mr"}
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def list_series(folder: Path) -> list[DicomSeries]:
    """Lists the series whose files lie directly in a folder, by one pass over their headers.

    Localizers, single slices, objects without an image and files that cannot be read are listed as what they are.

    Returns:
        Sorted by UID; a series of several stacks (orientations, echoes, time points) has one row a stack.
    """
    return [entry.series for entry in find_series(Path(folder))]


def read_series(place: Path, series: str = "") -> StoredImage:
    """Reads one DICOM series; axes are column, row, slice, as the slices lie along their normal.

    Args:
        place: The folder, or one enhanced multi-frame file.
        series: Its UID as :func:`list_series` gives it; empty where there is only one scan.

    Raises:
        InputError: There is no such series, or several and none is named (the message lists them), a slice is
            missing, doubled, of another size or orientation, or damaged, or a codec is not installed.
    """
    entry, stack = _choose(place, series)
    notes = check_stack(stack.planes, place.name, entry.alone)
    affine = check_affine(_LPS_TO_RAS @ affine_lps(stack.planes), place.name)
    flags = tuple(sorted({flag for file in entry.files for flag in file.flags}))
    values, digest = read_voxels(stack.planes, entry.files)
    return StoredImage(values, affine, digest, _MODALITIES.get(entry.series.modality), notes, flags)


def read_planes(place: Path, series: str = "") -> tuple[tuple[Plane, ...], NDArray[np.float64]]:
    """Returns the planes of a series in order, checked, and the affine of ``(column, row, slice)`` to RAS+ millimetres.

    Raises:
        InputError: As :func:`read_series`, as far as the headers show it.
    """
    entry, stack = _choose(place, series)
    check_stack(stack.planes, place.name, entry.alone)
    return stack.planes, check_affine(_LPS_TO_RAS @ affine_lps(stack.planes), place.name)


def read_series_header(place: Path, series: str = "") -> ScanHeader:
    """Reads what the headers of a series say, with the same checks as :func:`read_series` and no voxels.

    The bytes a voxel are those of the usual case: 2, or 4 where slopes are no whole numbers.
    """
    entry, stack = _choose(place, series)
    check_stack(stack.planes, place.name, entry.alone)
    affine = check_affine(_LPS_TO_RAS @ affine_lps(stack.planes), place.name)
    whole = all(plane.slope.is_integer() and plane.intercept.is_integer() for plane in stack.planes)
    narrow = all(file.pixels is not None and file.pixels.bits[1] <= 16 for file in entry.files)
    return scan_header(
        (*stack.planes[0].size, len(stack.planes)),
        affine,
        itemsize=2 if whole and narrow else 4,
        file_bytes=sum(file.file_bytes for file in entry.files),
        modality=_MODALITIES.get(entry.series.modality),
    )


def _choose(place: Path, series: str) -> tuple[Entry, Stack]:
    entry = choose(find_series(place), series, place.name)
    if entry.stack is None:
        raise InputError(entry.series.reason, entry.series.hint)
    if len(entry.stack.planes) < 2:
        if place.is_file():
            raise InputError(f"{place.name} is one DICOM slice", "give the folder that holds its series")
        raise InputError(f"{place.name} holds 1 DICOM slices", "give the folder of one whole series")
    return entry, entry.stack
