"""A folder of PNG masks, one a slice, on the grid of the DICOM series beside it (as in CHAOS).

A PNG knows no place: which slice it belongs to is told by names alone. Where every mask is called like
a file of the series (``IMG-0004-00002.png``), that file is its slice. Else masks and files, each sorted
by name (numbers in names by value), belong together one by one, as CHAOS says it; that is accepted only
where the files sorted by name lie in order of position, from either end.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from . import dicom
from .dicom_records import Plane
from .volume import StoredImage

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def mask_files(folder: Path) -> list[Path]:
    """Returns the PNG files that lie directly in a folder, sorted by name; numbers in names by their value."""
    files = [path for path in folder.iterdir() if path.suffix.lower() == ".png" and not path.name.startswith(".")]
    return sorted(files, key=lambda path: _natural(path.name))


def read_png_masks(folder: Path, series_folder: Path | None = None, series: str = "") -> StoredImage:
    """Reads a folder of PNG masks as a label map on the grid of a DICOM series.

    Values are those of the pictures (in CHAOS's MR masks 63 liver, 126 right kidney, 189 left kidney, 252
    spleen); where 255 is the only one beside 0, it becomes 1.

    Args:
        folder: The masks, one a slice.
        series_folder: The folder of the series; by default the only one beside the masks, or one folder below
            that (``DICOM_anon`` beside ``Ground``).
        series: Its UID where the folder holds several.

    Raises:
        InputError: There are more or fewer masks than slices, one has another size, is damaged or coloured, the
            order of the names is not that of the slices, or the series is not found or cannot be used.
    """
    files = mask_files(folder)
    if not files:
        raise InputError(f"{folder.name} holds no PNG masks", "give the folder of the masks")
    place = _series_beside(folder) if series_folder is None else series_folder
    planes, affine = dicom.read_planes(place, series)
    ordered = _match(files, planes, folder.name, place.name)
    digest = hashlib.sha256()
    values = np.empty((len(planes), planes[0].size[1], planes[0].size[0]), np.uint8)
    for index, path in enumerate(ordered):
        digest.update(path.read_bytes())
        values[index] = _read_picture(path, planes[0].size)
    if set(np.flatnonzero(np.bincount(values.ravel(), minlength=256))) <= {0, 255}:
        values[values == 255] = 1
    return StoredImage(values.T, affine, digest.hexdigest())


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", name.lower()) if part]


def _series_beside(folder: Path) -> Path:
    beside = [path for path in sorted(folder.absolute().parent.iterdir()) if path.is_dir() and path.name != folder.name]
    below = [path for here in beside for path in sorted(here.iterdir()) if path.is_dir()]
    found = [path for path in (*beside, *below) if dicom.series_files(path)]
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise InputError(
            f"{folder.name} holds PNG masks, which need one DICOM series in a folder beside it: {names} found",
            "keep masks and series as CHAOS has them: DICOM_anon and Ground in one folder",
        )
    return found[0]


def _match(files: Sequence[Path], planes: Sequence[Plane], name: str, series_name: str) -> list[Path]:
    """Returns the masks in the order of the planes."""
    if len(files) != len(planes):
        raise InputError(
            f"{name} holds {len(files)} masks, {series_name} {len(planes)} slices", "give one mask for every slice"
        )
    by_stem = {path.stem: path for path in files}
    stems = [plane.path.stem for plane in planes]
    if set(by_stem) == set(stems) and len(by_stem) == len(files):
        return [by_stem[stem] for stem in stems]
    order = sorted(range(len(planes)), key=lambda index: _natural(planes[index].path.name))
    steps = set(np.diff(order).tolist())
    if steps == {1}:
        return list(files)
    if steps == {-1}:
        return list(reversed(files))
    raise InputError(
        f"{name}: which mask belongs to which slice is not clear, since the files of {series_name} sorted by name "
        "do not lie in order of position",
        "name each mask like the file of its slice",
    )


def _read_picture(path: Path, size: tuple[int, int]) -> NDArray[Any]:
    import SimpleITK

    with path.open("rb") as handle:
        head = handle.read(24)
    if head[:8] != _SIGNATURE or len(head) < 24:
        raise InputError(f"{path.name} is no PNG picture", "copy or export it again")
    found = struct.unpack(">2I", head[16:24])  # before a decoder believes it
    if found != size:
        raise InputError(
            f"{path.name} has {found[0]} x {found[1]} pixels, its slice {size[0]} x {size[1]}",
            "give masks on the slices' own grid",
        )
    try:
        values = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip().replace(str(path), path.name)
        raise InputError(f"{path.name} cannot be read: {reason}", "copy or export it again") from None
    if values.ndim == 3:
        if (values[..., :3] != values[..., :1]).any():
            raise InputError(f"{path.name} is a colour picture", "save it with one grey value a class")
        values = values[..., 0]
    if values.dtype != np.uint8:
        raise InputError(f"{path.name} holds {values.dtype} values", "save it with 8 bits")
    return np.asarray(values)
