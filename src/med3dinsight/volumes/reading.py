"""Reading a scan or a label map from any of the formats, checked, in RAS+ order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from . import dicom, nifti, nrrd, png_masks
from .header import ScanHeader
from .layout import check_channel
from .orientation import OnSourceGrid, canonical_affine, canonical_shape
from .volume import StoredImage, Volume, canonical_volume, spacing_of

#: File names that are read as images.
SUFFIXES = (*nifti.SUFFIXES, *nrrd.SUFFIXES)
#: A label map's corners may lie off the image's by this share of a voxel.
GRID_TOLERANCE = 0.1
T = TypeVar("T")


def read_volume(path: Path | str, series: str = "", channel: int | None = None) -> Volume:
    """Reads a scan: a NIfTI, NRRD or MetaImage file, a folder with a DICOM series, or a multi-frame DICOM file.

    Args:
        path: The file or folder.
        series: SeriesInstanceUID (or stack of it: ``UID/1``) where there are several.
        channel: Which volume of a 4D file, from 0; None where the file is 3D.

    Returns:
        The volume in RAS+ order.

    Raises:
        InputError: It is missing, truncated, damaged, not one 3D volume, holds NaN, or its affine is singular.
    """
    stored = _read_stored(Path(path), series, channel)
    volume = canonical_volume(stored)
    _check_finite(volume.array, Path(path).name)
    return volume


def read_header(path: Path | str, series: str = "") -> ScanHeader:
    """Reads the header of a scan, without decoding voxels; what it declares is checked as for reading.

    Args:
        path: The file or folder.
        series: SeriesInstanceUID where the folder holds several series.

    Raises:
        InputError: The scan cannot be read, as far as its header shows that.
    """
    return _dispatch(Path(path), nifti.read_nifti_header, nrrd.read_nrrd_header, dicom.read_series_header, series)


def read_label(path: Path | str, like: OnSourceGrid) -> NDArray[np.uint16]:
    """Reads a label map on the grid of an image.

    The two files may store their axes in different orders: both are brought into RAS+ order first.

    Args:
        path: The label map; or a folder of PNG masks that lies beside the folder of a DICOM series.
        like: The image (or the prepared case of it) on whose grid the map must lie.

    Returns:
        ``(x, y, z)`` uint16 in RAS+ order.

    Raises:
        InputError: As for images, or it lies on another grid, or holds values that are no whole numbers 0..65535.
    """
    name = Path(path).name
    stored = _read_stored(Path(path), masks=True)
    _check_grid(stored, like, name)
    values = stored.values
    _check_finite(values, name)
    if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        raise InputError(f"{name} holds labels {values.min()} to {values.max()}", "labels are whole numbers 0 to 65535")
    labels = values.astype(np.uint16, copy=False)
    if values.dtype.kind == "f" and not np.array_equal(labels, values):
        raise InputError(f"{name} holds values that are no whole numbers", "give a label map, not probabilities")
    return canonical_volume(StoredImage(labels, stored.affine, stored.sha256)).array


def _read_stored(path: Path, series: str = "", channel: int | None = None, masks: bool = False) -> StoredImage:
    def from_folder(folder: Path, series: str) -> StoredImage:
        if masks and folder.is_dir() and png_masks.mask_files(folder):
            return png_masks.read_png_masks(folder)
        check_channel(channel, 1, folder.name)
        return dicom.read_series(folder, series)

    return _dispatch(
        path,
        lambda file: nifti.read_nifti(file, channel),
        lambda file: nrrd.read_nrrd(file, channel),
        from_folder,
        series,
    )


def _dispatch(
    path: Path,
    from_nifti: Callable[[Path], T],
    from_nrrd: Callable[[Path], T],
    from_folder: Callable[[Path, str], T],
    series: str,
) -> T:
    """Lets the reader of the path's format read it."""
    name = path.name.lower()
    if name.endswith(nifti.PAIR_VOXELS):
        path = path.with_suffix(".HDR" if path.suffix.isupper() else nifti.PAIR_SUFFIX)
        name = path.name.lower()
    try:
        if path.is_dir():
            if name.endswith(SUFFIXES) and not dicom.series_files(path):
                raise InputError(f"{path.name} is a folder, though its name is that of a file", "give the file in it")
            return from_folder(path, series)
        if not path.exists():
            if path.is_symlink():
                raise InputError(
                    f"{path.name} is a link to a file that is missing", "fetch that file, or mend the link"
                )
            raise InputError(f"no such file: {path}", "check the path")
        if not path.is_file():  # a pipe or a device would never end
            raise InputError(f"{path.name} is no regular file", "give a file or a folder")
        if path.stat().st_size == 0:
            raise InputError(f"{path.name} is truncated: it is empty", "copy or download it again")
        if name.endswith(nifti.SUFFIXES):
            return from_nifti(path)
        if name.endswith(nrrd.SUFFIXES):
            return from_nrrd(path)
        if dicom.is_dicom(path):
            return from_folder(path, series)
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {error.strerror or error}", "check its rights") from None
    raise InputError(f"{path.name} has a format that is not read", f"give {', '.join(SUFFIXES)} or a DICOM folder")


def _check_finite(values: NDArray[Any], name: str) -> None:
    # The least and the largest value are NaN where any value is.
    if values.dtype.kind == "f" and not (np.isfinite(values.min()) and np.isfinite(values.max())):
        count = int(np.count_nonzero(~np.isfinite(values)))
        raise InputError(
            f"{name} has {count} voxels that are NaN or infinite", "replace them (for example by -1024 in CT, 0 in MR)"
        )


def _check_grid(stored: StoredImage, like: OnSourceGrid, name: str) -> None:
    values = stored.values
    shape = canonical_shape(stored.affine, (values.shape[0], values.shape[1], values.shape[2]))
    expected = canonical_shape(like.source_affine, like.source_shape)
    if shape != expected:
        raise InputError(f"{name} has {shape} voxels, its image {expected}", "give a label map on the image's own grid")
    ours = canonical_affine(stored.affine, (values.shape[0], values.shape[1], values.shape[2]))
    theirs = canonical_affine(like.source_affine, like.source_shape)
    corners = np.array(np.meshgrid(*((0, length - 1) for length in shape))).reshape(3, -1)
    shift = ours[:3, :3] @ corners + ours[:3, 3:] - theirs[:3, :3] @ corners - theirs[:3, 3:]
    worst = float(np.linalg.norm(shift, axis=0).max())
    if worst > GRID_TOLERANCE * min(spacing_of(theirs)):
        raise InputError(
            f"{name} lies {worst:.1f} mm off its image", "give a label map on the image's own grid (same affine)"
        )
