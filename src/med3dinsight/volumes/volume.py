"""A scan in memory, in RAS+ order, with what is needed to go back to the grid of its file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..types import Modality, Shape3, Vector3
from .orientation import canonical_affine, to_canonical


@dataclass(frozen=True)
class StoredImage:
    """What a file or series holds, in its own axis order.

    Attributes:
        values: Voxels in file units (HU for CT), any numeric type.
        affine: 4 x 4 float64, index in the file to world millimetres (RAS+).
        sha256: Hash of the file's bytes (for a series: of its files in order of position).
        modality: "ct" or "mr" where the file says so.
        notes: What was accepted (gaps that differ a little) or assumed (left and right), a sentence each.
        flags: What may carry a name in the pixels, see :mod:`.dicom_flags`; nothing where the format cannot say.
    """

    values: NDArray[Any]
    affine: NDArray[np.float64]
    sha256: str
    modality: Modality | None = None
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Volume:
    """A scan in RAS+ order.

    Attributes:
        array: ``(x, y, z)`` in file units (HU for CT): integers of up to 16 bits as stored, else float32; finite.
        affine: 4 x 4 float64, index in ``array`` to world millimetres.
        source_shape: Voxels of the file as stored.
        source_affine: 4 x 4 float64, index in the file to world millimetres.
        sha256: Hash of the file's bytes.
        modality: "ct" or "mr" where the file says so.
        notes: What was accepted or assumed, as in :class:`StoredImage`.
        flags: What may carry a name in the pixels, likewise.
    """

    array: NDArray[Any]
    affine: NDArray[np.float64]
    source_shape: Shape3
    source_affine: NDArray[np.float64]
    sha256: str
    modality: Modality | None = None
    notes: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def spacing_mm(self) -> Vector3:
        """Voxel size along x, y, z in millimetres."""
        return spacing_of(self.affine)


def spacing_of(affine: NDArray[np.float64]) -> Vector3:
    """Returns the voxel size along the three array axes, in millimetres.

    Example:
        >>> spacing_of(np.diag([-2.0, 3.0, 4.0, 1.0]))
        (2.0, 3.0, 4.0)
    """
    lengths = np.linalg.norm(np.asarray(affine, dtype=np.float64)[:3, :3], axis=0)
    return (float(lengths[0]), float(lengths[1]), float(lengths[2]))


def canonical_volume(stored: StoredImage) -> Volume:
    """Puts a stored image into RAS+ order; the voxels are neither copied nor interpolated where that can be."""
    values = stored.values
    if values.dtype.kind not in "iub" or values.dtype.itemsize > 2:
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is refused by the reader
            values = values.astype(np.float32, copy=False)
    shape = (int(values.shape[0]), int(values.shape[1]), int(values.shape[2]))
    return Volume(
        array=to_canonical(values, stored.affine),
        affine=canonical_affine(stored.affine, shape),
        source_shape=shape,
        source_affine=stored.affine,
        sha256=stored.sha256,
        modality=stored.modality,
        notes=stored.notes,
        flags=stored.flags,
    )
