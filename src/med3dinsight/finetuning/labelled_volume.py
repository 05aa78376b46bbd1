"""A training case of a segmentation: its boxes come from the store, and of its label map a small table is held.

Around which voxel a crop is drawn is decided by a number: the k-th voxel of a class in C order. The table counts the
voxels of each class by *stretches*, :data:`STRETCH` rows along z of one plane of x, so that the k-th voxel is found by
reading one stretch. Every voxel of a class is thus drawn equally often, as if all their places were held. It costs
eight bytes a stretch that the class touches: 64 KiB for a class all over 512 x 512 x 512 voxels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records import Case
from ..types import Shape3
from ..volumes.labels import class_map
from ..workspace.voxel_chunks import BLOCK, CHUNK
from ..workspace.voxel_store import VoxelStore

#: Rows of a stretch: as many as a block of the chunked store has, so that few blocks are decompressed for one.
STRETCH = BLOCK


@dataclass(frozen=True)
class ClassPlaces:
    """Where the voxels of a class lie.

    Attributes:
        index: The class.
        stretches: Numbers of the stretches that hold it, growing; they are counted along y, then x.
        ends: For each of them how many voxels lie in it and in those before it.
    """

    index: int
    stretches: NDArray[np.unsignedinteger[Any]]
    ends: NDArray[np.unsignedinteger[Any]]

    @property
    def count(self) -> int:
        """How many voxels the class has."""
        return int(self.ends[-1])


@dataclass(frozen=True)
class LabelledVolume:
    """One training case.

    Attributes:
        store: Where its voxels and labels lie.
        case: Its row.
        table: The class of each label value, up to the greatest that is there; uint8.
        places: For every foreground class that is there, where its voxels lie.
    """

    store: VoxelStore
    case: Case
    table: NDArray[np.uint8]
    places: tuple[ClassPlaces, ...]

    def voxels(self, origin: Shape3, size: Shape3) -> NDArray[np.uint8]:
        """Reads a box of voxels; 0 outside the volume."""
        return self.store.box(self.case.id, origin, size)

    def classes(self, origin: Shape3, size: Shape3) -> NDArray[np.uint8]:
        """Reads a box of class indices; 0 outside the volume."""
        return self.table.take(self.store.label_box(self.case.id, origin, size))

    def voxel_of(self, place: ClassPlaces, number: int) -> NDArray[np.int64]:
        """Returns where the ``number``-th voxel of a class lies, ``(3,)``; they are counted from 0 in C order."""
        _, length, depth = self.case.shape
        row = int(np.searchsorted(place.ends, place.ends.dtype.type(number), side="right"))
        before = int(place.ends[row - 1]) if row else 0
        x, stretch = divmod(int(place.stretches[row]), _stretches(length))
        y = stretch * STRETCH
        found = np.argwhere(self.classes((x, y, 0), (1, min(STRETCH, length - y), depth))[0] == place.index)
        along, up = found[number - before].tolist()
        return np.array((x, y + along, up))


def labelled_volume(store: VoxelStore, case: Case, classes: Sequence[Mapping[str, Any]]) -> LabelledVolume:
    """Counts where each foreground class lies, a slab of the label map after the other.

    Args:
        store: Prepared volumes.
        case: A row with a label map.
        classes: ``[{"name": ..., "match": [patterns or values]}, ...]``.

    Raises:
        InputError: The label map has values but no names, and no class lists a value.
    """
    table, greatest, counts = class_map(case.label_names, classes), 0, []
    length, width, depth = case.shape
    for first in range(0, length, CHUNK):
        slab = store.label_box(case.id, (first, 0, 0), (min(CHUNK, length - first), width, depth))
        greatest = max(greatest, int(slab.max()))
        counts += [_count(table[plane], len(classes) + 1) for plane in slab]
    class_map(case.label_names, classes, [greatest])  # refuses values without names
    by_stretch = np.concatenate(counts)
    small = np.min_scalar_type(case.num_voxels)  # holds the number of a stretch, too
    places = []
    for index in range(1, len(classes) + 1):
        stretches = np.flatnonzero(by_stretch[:, index])
        ends = np.cumsum(by_stretch[stretches, index])
        if len(stretches):
            places.append(ClassPlaces(index, stretches.astype(small), ends.astype(small)))
    return LabelledVolume(store, case, table[: greatest + 1].copy(), tuple(places))


def _stretches(width: int) -> int:
    """How many stretches a plane has; the last one may be narrower."""
    return -(-width // STRETCH)


def _count(plane: NDArray[np.uint8], num_classes: int) -> NDArray[np.int64]:
    """Counts the voxels of each class in the stretches of a plane: ``(stretches, classes)``."""
    stretches = _stretches(len(plane))
    if not plane.any():
        return np.zeros((stretches, num_classes), dtype=np.int64)
    codes = (np.arange(len(plane)) // STRETCH * num_classes)[:, None] + plane
    return np.bincount(codes.ravel(), minlength=stretches * num_classes).reshape(stretches, num_classes)
