"""Writes an enhanced multi-frame CT or MR file: one file, the place of each frame in its functional groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid


def group(keyword: str, **values: Any) -> tuple[str, Items]:
    """One functional group: a sequence of one item."""
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return keyword, Items([item])


def dataset(groups: Sequence[tuple[str, Items]]) -> Dataset:
    data = Dataset()
    for keyword, items in groups:
        setattr(data, keyword, items)
    return data


def write_enhanced(
    path: Path,
    stored: NDArray[np.int16],
    *,
    spacing: tuple[float, float, float] = (0.8, 0.6, 2.5),
    axes: Sequence[float] = (1, 0, 0, 0, 1, 0),
    origin: Sequence[float] = (-10, 20, -30),
    places: Sequence[float] | None = None,
    rescale: Sequence[tuple[float, float]] | None = None,
    extra: Callable[[int], list[tuple[str, Items]]] = lambda frame: [],
    change: Callable[[FileDataset], None] = lambda data: None,
    modality: str = "CT",
) -> Path:
    """Writes frames in the order given.

    Args:
        path: The file.
        stored: Stored values ``(column, row, frame)``.
        spacing: Distance between columns, rows and places in mm.
        axes: Direction of a row and of a column, LPS.
        origin: Position of the first voxel at place 0, LPS.
        places: Place of each frame along the normal.
        rescale: Slope and intercept of each frame; by default -1024 and 1, shared.
        extra: Further functional groups of a frame.
        change: Is called with the data set before it is written.
        modality: The DICOM modality.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = EnhancedCTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = EnhancedCTImageStorage, meta.MediaStorageSOPInstanceUID
    data.SeriesInstanceUID, data.Modality, data.InstanceNumber = generate_uid(), modality, 1
    data.Columns, data.Rows, data.NumberOfFrames = stored.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    shared = [
        group("PixelMeasuresSequence", PixelSpacing=[spacing[1], spacing[0]]),
        group("PlaneOrientationSequence", ImageOrientationPatient=list(axes)),
    ]
    if rescale is None:
        shared.append(group("PixelValueTransformationSequence", RescaleSlope=1, RescaleIntercept=-1024))
    normal = np.cross(axes[:3], axes[3:])
    frames = []
    for frame in range(stored.shape[2]):
        place = frame if places is None else places[frame]
        position = [float(value) for value in np.array(origin) + normal * place * spacing[2]]
        own = [group("PlanePositionSequence", ImagePositionPatient=position), *extra(frame)]
        if rescale is not None:
            slope, intercept = rescale[frame]
            own.append(group("PixelValueTransformationSequence", RescaleSlope=slope, RescaleIntercept=intercept))
        frames.append(dataset(own))
    data.SharedFunctionalGroupsSequence = Items([dataset(shared)])
    data.PerFrameFunctionalGroupsSequence = Items(frames)
    data.PixelData = np.ascontiguousarray(stored.T).tobytes()
    change(data)
    data.save_as(path)
    return path


def affine_of(image: Any) -> NDArray[np.float64]:
    """The affine of a SimpleITK image (which thinks in LPS+) to RAS+ millimetres."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine)
