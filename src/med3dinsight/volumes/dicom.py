"""A DICOM series in a folder: headers by pydicom, checked slice against slice, voxels by SimpleITK.

A missing slice changes the spacing and nothing else says so: gaps between slices and instance
numbers are therefore checked before a voxel is read.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..types import Modality
from .header import ScanHeader, scan_header
from .orientation import check_affine
from .volume import StoredImage

#: Gaps between slices may differ from their median by this share; real series have 1.4 %.
GAP_TOLERANCE = 0.03
#: From this multiple of the median on, a gap is a missing slice.
MISSING_GAP = 1.5
_MODALITIES: dict[str, Modality] = {"CT": "ct", "MR": "mr"}
_TAGS = [
    "SeriesInstanceUID",
    "Modality",
    "Rows",
    "Columns",
    "BitsAllocated",
    "SamplesPerPixel",
    "NumberOfFrames",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "InstanceNumber",
]
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class _Slice:
    path: Path
    series: str
    modality: str
    size: tuple[int, int]
    spacing: NDArray[np.float64]
    axes: NDArray[np.float64]
    position: NDArray[np.float64]
    number: int | None
    plain_bytes: int


def is_dicom(path: Path) -> bool:
    """Says whether a file begins like a DICOM file (128 bytes and ``DICM``)."""
    try:
        with path.open("rb") as handle:
            return handle.read(132)[128:] == b"DICM"
    except OSError:
        return False


def series_files(folder: Path) -> list[Path]:
    """Returns the DICOM files that lie directly in a folder, sorted by name; ``DICOMDIR`` is none of them."""
    files = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return sorted(path for path in files if path.name.upper() != "DICOMDIR" and is_dicom(path))


def read_series(folder: Path, series: str = "") -> StoredImage:
    """Reads one DICOM series of a folder; axes are column, row, slice, as the slices lie along their normal.

    Args:
        folder: The folder.
        series: SeriesInstanceUID where it holds several series.

    Raises:
        InputError: There is none or more than one, a slice is missing, doubled, of another size or
            orientation, or damaged, or the files are no plain slices.
    """
    slices, affine = _checked_series(folder, series)
    values, digest = _read_voxels(slices)
    checked = check_affine(_LPS_TO_RAS @ affine, folder.name)
    return StoredImage(values, checked, digest, _MODALITIES.get(slices[0].modality))


def read_series_header(folder: Path, series: str = "") -> ScanHeader:
    """Reads the headers of one DICOM series; no voxel is decoded.

    Args:
        folder: The folder.
        series: SeriesInstanceUID where it holds several series.

    Raises:
        InputError: As :func:`read_series`, as far as the headers show it.
    """
    slices, affine = _checked_series(folder, series)
    return scan_header(
        shape=(*slices[0].size, len(slices)),
        affine=check_affine(_LPS_TO_RAS @ affine, folder.name),
        itemsize=2,
        file_bytes=sum(item.path.stat().st_size for item in slices),
        modality=_MODALITIES.get(slices[0].modality),
    )


def _checked_series(folder: Path, series: str) -> tuple[list[_Slice], NDArray[np.float64]]:
    slices = [_read_header(path) for path in series_files(folder)]
    slices = [item for item in slices if series in ("", item.series)]
    if len(slices) < 2:
        raise InputError(f"{folder.name} holds {len(slices)} DICOM slices", "give the folder of one whole series")
    first = slices[0]
    _check_same(folder.name, slices)
    normal = np.cross(first.axes[:3], first.axes[3:])
    slices.sort(key=lambda item: float(item.position @ normal))
    _check_gaps(folder.name, slices, normal)
    affine = np.eye(4)
    affine[:3, 0] = first.axes[:3] * first.spacing[1]  # along a row: the distance between columns
    affine[:3, 1] = first.axes[3:] * first.spacing[0]
    affine[:3, 2] = (slices[-1].position - slices[0].position) / (len(slices) - 1)
    affine[:3, 3] = slices[0].position
    return slices, affine


def _read_header(path: Path) -> _Slice:
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        if int(data.get("NumberOfFrames") or 1) > 1:
            raise InputError(f"{path.name} holds many frames", "convert it to NIfTI first (for example with dcm2niix)")
        if int(data.get("SamplesPerPixel") or 1) != 1:
            raise InputError(f"{path.name} is a colour picture", "give a CT or MR series")
        number = data.get("InstanceNumber")
        syntax = data.file_meta.TransferSyntaxUID
        plain = not (syntax.is_compressed or syntax.is_deflated)
        spacing, axes, position = (
            np.array(value, dtype=np.float64)
            for value in (data.PixelSpacing, data.ImageOrientationPatient, data.ImagePositionPatient)
        )
        if [spacing.shape, axes.shape, position.shape] != [(2,), (6,), (3,)]:
            raise ValueError("its spacing, orientation or position is missing")
        return _Slice(
            path=path,
            series=str(data.get("SeriesInstanceUID") or ""),
            modality=str(data.get("Modality") or ""),
            size=(int(data.Columns), int(data.Rows)),
            spacing=spacing,
            axes=axes,
            position=position,
            number=None if number is None else int(number),
            plain_bytes=data.Rows * data.Columns * data.BitsAllocated // 8 if plain else 0,
        )
    except (InvalidDicomError, AttributeError, TypeError, ValueError, EOFError, OSError) as error:
        reason = f"{path.name} is no readable CT or MR slice: {error}"
        raise InputError(reason, "remove it from the folder or export the series again") from None


def _check_same(name: str, slices: list[_Slice]) -> None:
    first = slices[0]
    count = len({item.series for item in slices})
    if count > 1:
        raise InputError(f"{name} holds {count} DICOM series", "put each series into a folder of its own")
    for item in slices:
        if item.size != first.size or not np.allclose(item.spacing, first.spacing, rtol=1e-4):
            raise InputError(f"{name}: {item.path.name} has another size or pixel spacing", "export the series again")
        if not np.allclose(item.axes, first.axes, atol=1e-3):
            raise InputError(f"{name}: {item.path.name} has another orientation", "keep one stack of slices a folder")


def _check_gaps(name: str, slices: list[_Slice], normal: NDArray[np.float64]) -> None:
    gaps = np.diff([float(item.position @ normal) for item in slices])
    median = float(np.median(gaps))
    if median < 1e-3 or gaps.min() < 0.5 * median:
        raise InputError(f"{name} has two slices at one position", "remove the doubled slices, or the second series")
    if gaps.max() >= MISSING_GAP * median:
        where = int(gaps.argmax())
        between = f"between {slices[where].path.name} and {slices[where + 1].path.name}"
        raise InputError(
            f"{name} lacks a slice {between}: {gaps.max():.2f} mm, elsewhere {median:.2f} mm", "export the whole series"
        )
    if np.abs(gaps / median - 1).max() > GAP_TOLERANCE:
        raise InputError(
            f"{name} has slices {gaps.min():.2f} to {gaps.max():.2f} mm apart", "resample the series evenly first"
        )
    numbers = sorted(item.number for item in slices if item.number is not None)
    steps = np.diff(numbers)
    if len(numbers) == len(slices) and (steps > 0).all() and steps.max() != steps.min():
        before = numbers[int(steps.argmax())]
        raise InputError(f"{name} lacks the slice after instance number {before}", "export the whole series")


def _read_voxels(slices: list[_Slice]) -> tuple[NDArray[Any], str]:
    import SimpleITK

    digest = hashlib.sha256()
    planes: list[NDArray[Any]] = []
    for item in slices:
        raw = item.path.read_bytes()
        _check_length(item, raw)
        digest.update(raw)
        try:
            plane = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(item.path)))  # rescaled to HU; (1, row, column)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].strip()
            raise InputError(f"{item.path.name} cannot be decoded: {reason}", "copy or export it again") from None
        if plane.shape != (1, item.size[1], item.size[0]):
            raise InputError(f"{item.path.name} holds {plane.shape} voxels, not one slice", "export the series again")
        planes.append(plane[0])
    return np.stack(planes).T, digest.hexdigest()


def _check_length(item: _Slice, raw: bytes) -> None:
    """The decoder fills a slice that is not compressed and too short with zeros: refuse it first."""
    import pydicom

    if item.plain_bytes:
        length = len(pydicom.dcmread(io.BytesIO(raw), specific_tags=["PixelData"]).get("PixelData", b""))
        if length < item.plain_bytes:
            reason = f"{item.path.name} is truncated: {length} of {item.plain_bytes} bytes of voxels"
            raise InputError(reason, "copy or export it again")
