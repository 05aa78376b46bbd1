"""Which slices of which crops of each volume make the slice table of a workspace.

Under the cube protocol the whole cube is the one crop of a volume; under the native protocol seeded
random crops are drawn, which do not depend on what other volumes there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from math import prod

import numpy as np

from ..errors import ConfigError, InputError
from ..records import Case, Crop, SliceRef
from ..types import Plane, Shape3

#: Slices of each plane of a crop: one count for all planes, or three for axial, coronal and sagittal.
Quota = int | tuple[int, int, int]


def quotas(positions_per_plane: Quota, size: int) -> tuple[int, int, int]:
    """Returns the counts of axial, coronal and sagittal slices of a crop.

    Example:
        >>> quotas(16, size=64)
        (16, 16, 16)

    Raises:
        ConfigError: There are fewer voxels along an edge than positions.
    """
    counts = (positions_per_plane,) * 3 if isinstance(positions_per_plane, int) else positions_per_plane
    if max(counts) > size:
        raise ConfigError(
            f"{max(counts)} positions a plane in a crop of {size} voxels",
            f"set caption.positions_per_plane to {size} or less",
        )
    return counts


def plan_slices(
    cases: Iterable[Case], *, whole: bool, crop_size: int, crops_per_volume: int, positions_per_plane: Quota, seed: int
) -> list[SliceRef]:
    """Lists the slices of all volumes, see :func:`each_slice`.

    Raises:
        ConfigError: A crop has fewer voxels along an edge than slices are asked for.
        InputError: A volume is not cubic and ``whole`` is set.
    """
    return list(
        each_slice(
            cases,
            whole=whole,
            crop_size=crop_size,
            crops_per_volume=crops_per_volume,
            positions_per_plane=positions_per_plane,
            seed=seed,
        )
    )


def each_slice(
    cases: Iterable[Case], *, whole: bool, crop_size: int, crops_per_volume: int, positions_per_plane: Quota, seed: int
) -> Iterator[SliceRef]:
    """Yields the slices of all volumes, in memory for the crops of one volume alone.

    There are ``positions_per_plane`` of each plane of every crop.

    Args:
        cases: The prepared volumes, in any order; the result is in the order of their ids.
        whole: Take each (cubic) volume as its only crop instead of drawing crops.
        crop_size: Edge of a drawn crop in voxels.
        crops_per_volume: Different crops drawn a volume; fewer where the volume has no more.
        positions_per_plane: Equally spaced slices a plane: one count, or three for axial, coronal and sagittal.
        seed: Changes the drawn crops.

    Yields:
        Slices sorted by case id, then in the order the crops were drawn, then plane and index.

    Raises:
        ConfigError: A crop has fewer voxels along an edge than slices are asked for.
        InputError: A volume is not cubic and ``whole`` is set.
    """
    for case in sorted(cases, key=lambda case: case.id):
        for crop in crops_of(case, whole, crop_size, crops_per_volume, seed):
            yield from slices_of_crop(crop, positions_per_plane)


def count_slices(
    cases: Iterable[Case], *, whole: bool, crop_size: int, crops_per_volume: int, positions_per_plane: Quota
) -> int:
    """Returns how many slices :func:`each_slice` yields of all volumes, without drawing a crop.

    Raises:
        ConfigError, InputError: Whatever any volume would make :func:`each_slice` raise.
    """
    total = 0
    for case in cases:
        size = _whole_crop(case).size if whole else crop_size
        crops = 1 if whole else min(crops_per_volume, possible_crops(case, size))
        total += crops * sum(quotas(positions_per_plane, size))
    return total


def crops_of(case: Case, whole: bool, crop_size: int, crops_per_volume: int, seed: int) -> list[Crop]:
    """Returns the crops of a volume: the whole cube, or drawn ones.

    Raises:
        InputError: The volume is not cubic and ``whole`` is set.
    """
    return [_whole_crop(case)] if whole else draw_crops(case, crop_size, crops_per_volume, seed)


def slices_of_crop(crop: Crop, positions_per_plane: Quota) -> Iterator[SliceRef]:
    """Yields the slices of one crop: position k of n in a plane is voxel ``floor((k + 1/2) * size / n)``.

    Example:
        >>> [ref.index for ref in slices_of_crop(Crop("a", (0, 0, 0), 64), 4)][:4]
        [8, 24, 40, 56]

    Raises:
        ConfigError: There are fewer voxels along an edge than positions.
    """
    for plane, count in zip(Plane, quotas(positions_per_plane, crop.size), strict=True):
        for position in range(count):
            yield SliceRef(crop, plane, (2 * position + 1) * crop.size // (2 * count))


def draw_crops(case: Case, size: int, count: int, seed: int) -> list[Crop]:
    """Draws different random crops of a volume, the same for a case whatever else is prepared.

    Along an axis where the volume is at least as long as the crop, the crop lies inside it; where it
    is shorter, the volume is in the middle of the crop and the origin is negative.

    Args:
        case: The volume.
        size: Edge of the crops in voxels.
        count: How many; fewer are returned where there are not so many different ones.
        seed: Changes what is drawn.
    """
    room = _room(case, size)
    centred = [-((size - length) // 2) if length < size else 0 for length in case.shape]
    possible = possible_crops(case, size)
    digest = hashlib.sha256(case.id.encode()).digest()
    generator = np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
    origins: dict[Shape3, None] = {}
    while len(origins) < min(count, possible):
        drawn = generator.integers(0, room, endpoint=True)
        x, y, z = (int(start + step) for start, step in zip(centred, drawn, strict=True))
        origins[x, y, z] = None
    return [Crop(case.id, origin, size) for origin in origins]


def possible_crops(case: Case, size: int) -> int:
    """Returns how many different crops of an edge a volume has."""
    return prod(extent + 1 for extent in _room(case, size))


def _room(case: Case, size: int) -> list[int]:
    return [max(length - size, 0) for length in case.shape]


def _whole_crop(case: Case) -> Crop:
    if len(set(case.shape)) != 1:
        raise InputError(
            f"volume {case.id} is {' x '.join(map(str, case.shape))} voxels and not a cube",
            "prepare with the cube128 protocol, or caption crops of a native workspace",
        )
    return Crop(case.id, (0, 0, 0), case.shape[0])
