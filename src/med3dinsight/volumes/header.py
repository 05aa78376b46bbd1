"""What a scan's header tells before a voxel is decoded: enough to plan a grid, memory and time."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from ..types import Modality, Shape3, Vector3
from .orientation import canonical_affine, canonical_shape
from .volume import spacing_of


@dataclass(frozen=True)
class ScanHeader:
    """The header of a scan, its axes in RAS+ order.

    Attributes:
        shape: Voxels along x, y, z.
        spacing_mm: Voxel size along x, y, z in millimetres.
        num_channels: Volumes in the file: 1, or the length of the fourth axis.
        itemsize: Bytes of a voxel in one channel, decompressed, in the type that the file stores.
        modality: "ct" or "mr" where the file says so.
        file_bytes: Bytes on the disk, those of a detached file of voxels included.
    """

    shape: Shape3
    spacing_mm: Vector3
    num_channels: int
    itemsize: int
    modality: Modality | None
    file_bytes: int


def scan_header(
    shape: Shape3,
    affine: ArrayLike,
    itemsize: int,
    file_bytes: int,
    num_channels: int = 1,
    modality: Modality | None = None,
) -> ScanHeader:
    """Builds the header of a scan from its shape and affine as stored.

    Args:
        shape: Voxels along the three axes of the file.
        affine: 4 x 4, index in the file to world millimetres (RAS+).
        itemsize: Bytes of a voxel in one channel.
        file_bytes: Bytes on the disk.
        num_channels: Volumes in the file.
        modality: "ct" or "mr" where the file says so.

    Example:
        >>> swapped = [[0, 3, 0, 0], [2, 0, 0, 0], [0, 0, 4, 0], [0, 0, 0, 1]]
        >>> header = scan_header((10, 20, 30), swapped, itemsize=2, file_bytes=12_352)
        >>> header.shape, header.spacing_mm
        ((20, 10, 30), (3.0, 2.0, 4.0))
    """
    spacing = spacing_of(canonical_affine(affine, shape))
    return ScanHeader(canonical_shape(affine, shape), spacing, num_channels, itemsize, modality, file_bytes)
