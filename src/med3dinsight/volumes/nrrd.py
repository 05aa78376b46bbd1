"""NRRD and MetaImage files, read by SimpleITK after a look at where they say their voxels are.

A header can name any file as the place of its voxels. Only a file of plain name in the header's own
folder is accepted, so that a stranger's header cannot make us read something else.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .header import ScanHeader, scan_header
from .layout import check_channel
from .orientation import check_affine
from .volume import StoredImage

NRRD_SUFFIXES = (".nrrd", ".nhdr")
META_SUFFIXES = (".mha", ".mhd")
SUFFIXES = (*NRRD_SUFFIXES, *META_SUFFIXES)
_MAX_HEADER = 1 << 16
#: A compressed stream cannot grow by more than this factor.
_MAX_RATIO = 1032
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_nrrd_header(path: Path) -> ScanHeader:
    """Reads what a NRRD or MetaImage file declares; no voxel is decoded.

    Raises:
        InputError: As :func:`read_nrrd`, as far as the header shows it.
    """
    import SimpleITK

    parts = [path, *_detached(path)]
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise InputError(f"{path.name} cannot be read: {reason}", "copy or export it again") from None
    size = reader.GetSize()
    if len(size) != 3:
        raise InputError(f"{path.name} is not one 3D volume: its shape is {size}", "give one 3D volume a file")
    affine = check_affine(affine_of(reader), path.name)
    itemsize = SimpleITK.GetArrayFromImage(SimpleITK.Image([1, 1, 1], reader.GetPixelID())).dtype.itemsize
    file_bytes = sum(part.stat().st_size for part in parts)
    return scan_header(size, affine, itemsize, file_bytes, reader.GetNumberOfComponents())


def read_nrrd(path: Path, channel: int | None = None) -> StoredImage:
    """Reads a 3D NRRD (``.nrrd``, ``.nhdr``) or MetaImage (``.mha``, ``.mhd``) file.

    Raises:
        InputError: It is truncated, damaged, not 3D, in colour, names a file elsewhere, or its affine is singular.
    """
    import SimpleITK

    parts = [path, *_detached(path)]
    raw = [part.read_bytes() for part in parts]
    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        size, components = reader.GetSize(), reader.GetNumberOfComponents()
        if len(size) != 3 or components != 1:
            shape = (*size, components) if components != 1 else size
            raise InputError(f"{path.name} is not one 3D volume: its shape is {shape}", "give one 3D volume a file")
        if int(np.prod(size, dtype=object)) > sum(map(len, raw)) * _MAX_RATIO:
            raise InputError(f"{path.name} is truncated: its header declares {size} voxels", "copy it again")
        check_channel(channel, 1, path.name)
        image = reader.Execute()
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise InputError(f"{path.name} cannot be read: {reason}", "copy or export it again") from None
    digest = hashlib.sha256()
    for part in raw:
        digest.update(part)
    values = SimpleITK.GetArrayFromImage(image).T  # SimpleITK hands out (z, y, x)
    return StoredImage(values, check_affine(affine_of(image), path.name), digest.hexdigest())


def affine_of(image: Any) -> NDArray[np.float64]:
    """Returns the 4 x 4 affine in RAS+ millimetres of a SimpleITK image (which thinks in LPS+)."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.asarray(image.GetSpacing())
    affine[:3, 3] = image.GetOrigin()
    return np.asarray(_LPS_TO_RAS @ affine)


def _detached(path: Path) -> list[Path]:
    """Returns the file of voxels that a header names; none where they follow in the same file."""
    with path.open("rb") as handle:
        head = handle.read(_MAX_HEADER)
    if path.suffix.lower() in NRRD_SUFFIXES:
        text = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0].decode("latin-1")
        found = re.search(r"^data ?file:[ =]*(.*?)\s*$", text, re.M | re.I)
        name = found.group(1) if found else "LOCAL"
    else:
        found = re.search(r"^ElementDataFile\s*=\s*(.*?)\s*$", head.decode("latin-1"), re.M | re.I)
        name = found.group(1) if found else ""
    if name.upper() == "LOCAL":
        return []
    target = path.parent / name
    plain = re.fullmatch(r"[\w.\- ]+", name) and name not in (".", "..") and not name.upper().startswith("LIST")
    if not plain or target.resolve().parent != path.parent.resolve():
        raise InputError(
            f"{path.name} keeps its voxels in {name!r}", "only a file of plain name in the same folder is read"
        )
    if not target.is_file():
        raise InputError(f"{path.name} keeps its voxels in {name}, which is missing", "copy that file beside it")
    return [target]
