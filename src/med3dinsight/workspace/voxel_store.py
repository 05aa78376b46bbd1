"""Prepared voxels and how they are read: a manifest of rows, and one of two kinds of store behind it.

``prepared/manifest.jsonl`` holds one :class:`~med3dinsight.records.Case` a line. Cubes lie in a *flat* store:
``voxels.u8`` holds all volumes one after another in C order of ``[x, y, z]``, ``labels.u16`` the label maps at the
same offsets; both are mapped into memory. Volumes of any shape lie in a *chunked* store: ``volumes/CASE.b2nd`` and
``labels/CASE.b2nd``, compressed, of which a crop reads only the blocks it touches. A row says where its case lies,
and readers need not know. A volume counts once its line is in the manifest.
"""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import WorkspaceError
from ..records import Case, Crop
from ..types import Progress, Shape3, silent
from .voxel_chunks import read_box, read_whole
from .voxel_damage import Damage as Damage
from .voxel_damage import lost, noted
from .voxel_guard import begin_reading
from .voxel_hash import voxel_hash
from .voxel_manifest import MANIFEST as MANIFEST
from .voxel_manifest import read_manifest as read_manifest
from .voxel_store_chunked import LABEL_MAPS, VOLUMES, file_of
from .voxel_store_flat import LABELS as LABELS
from .voxel_store_flat import VOXELS as VOXELS
from .voxel_store_flat import VoxelWriter as VoxelWriter

Scalar = TypeVar("Scalar", bound=np.generic)
#: Whole volumes of a chunked store that are kept decompressed, in bytes; the last one is kept whatever its size.
KEPT_BYTES = 256 << 20
_AGAIN = "run the same `med3dinsight prepare` again: it prepares anew what is missing or damaged"
_TYPES: dict[str, type[np.generic]] = {VOLUMES: np.uint8, LABEL_MAPS: np.uint16}
_FLAT = {VOLUMES: VOXELS, LABEL_MAPS: LABELS}


class VoxelStore:
    """Reads prepared volumes; several processes may read at once, also forked ones.

    As long as it is there, nothing that it may read is changed: ``prepare`` refuses to.

    Args:
        folder: The workspace's ``prepared`` folder.
        check_sizes: Look at once whether every volume's file is there and has its size, and is not noted as damaged;
            :meth:`verify` names all that are not.

    Raises:
        WorkspaceError: There is no prepared volume, or a file is missing, has another size than was written, or is
            known to be damaged.
    """

    def __init__(self, folder: Path, *, check_sizes: bool = True) -> None:
        self.folder = folder
        if (reading := begin_reading(folder)) is not None:
            weakref.finalize(self, os.close, reading)
        self.cases: dict[str, Case] = {case.id: case for case in read_manifest(folder)}
        if not self.cases:
            raise WorkspaceError(f"no prepared volumes in {folder}", "run `med3dinsight prepare` first")
        rows = list(self.cases.values())
        self._lost = lost(folder, rows)
        if check_sizes:
            self._refuse_damaged()
        self._maps: dict[str, NDArray[Any]] = {}
        gone = {item.case for item in self._lost}
        for kind, dtype in _TYPES.items():
            if any(row.offset >= 0 and row.id not in gone and (kind == VOLUMES or row.has_label) for row in rows):
                self._maps[kind] = np.memmap(folder / _FLAT[kind], dtype=dtype, mode="r")
        self._kept: OrderedDict[tuple[str, str], NDArray[Any]] = OrderedDict()

    def _refuse_damaged(self) -> None:
        if self._lost:
            raise WorkspaceError(self._lost[0].reason, _AGAIN)
        if known := sorted(noted(self.folder) & self.cases.keys()):
            raise WorkspaceError(f"{known[0]} in {self.folder} is damaged, as was found by reading it", _AGAIN)

    def volume(self, case: str) -> NDArray[np.uint8]:
        """Returns a prepared volume, ``(x, y, z)`` uint8, that cannot be written to.

        Of a flat store that is a view of the file. Of a chunked one it is decompressed; the last few are kept, so
        that asking for slices of one volume after another is cheap. Who wants a crop asks for :meth:`crop`.
        """
        return self._whole(VOLUMES, self.cases[case])

    def crop(self, crop: Crop) -> NDArray[np.uint8]:
        """Reads a crop, ``(s, s, s)`` uint8; voxels outside the volume are 0."""
        return self.box(crop.case, crop.origin, (crop.size,) * 3)

    def box(self, case: str, origin: Shape3, size: Shape3) -> NDArray[np.uint8]:
        """Reads a box of a volume, of ``size`` voxels along the axes; voxels outside the volume are 0."""
        return self._box(VOLUMES, self.cases[case], origin, size)

    def label(self, case: str) -> NDArray[np.uint16]:
        """Returns a label map, ``(x, y, z)`` uint16, that cannot be written to; kept as :meth:`volume` does.

        Raises:
            WorkspaceError: The case has no label map.
        """
        return self._whole(LABEL_MAPS, self._labelled(case))

    def label_crop(self, crop: Crop) -> NDArray[np.uint16]:
        """Reads a crop of a label map, ``(s, s, s)`` uint16; voxels outside the volume are 0.

        Raises:
            WorkspaceError: The case has no label map.
        """
        return self.label_box(crop.case, crop.origin, (crop.size,) * 3)

    def label_box(self, case: str, origin: Shape3, size: Shape3) -> NDArray[np.uint16]:
        """Reads a box of a label map, uint16, as :meth:`box` does.

        Raises:
            WorkspaceError: The case has no label map.
        """
        return self._box(LABEL_MAPS, self._labelled(case), origin, size)

    def verify(self, progress: Progress = silent) -> Iterator[Damage]:
        """Reads everything and yields what is not as it was written; label maps of earlier versions have no hash.

        Args:
            progress: Told about every case.
        """
        gone: dict[str, list[Damage]] = {}
        for item in self._lost:
            gone.setdefault(item.case, []).append(item)
        for number, case in enumerate(self.cases.values(), start=1):
            progress(number, len(self.cases), case.id)
            yield from gone.get(case.id) or self._changed(case)

    def _changed(self, case: Case) -> Iterator[Damage]:
        for kind, expected in ((VOLUMES, case.voxel_sha256), (LABEL_MAPS, case.label_sha256)):
            if not expected or (kind == LABEL_MAPS and not case.has_label):
                continue
            path = file_of(self.folder, kind, case.id) if case.offset < 0 else self.folder / _FLAT[kind]
            try:
                voxels = self._read(kind, case)
            except WorkspaceError as error:
                yield Damage(case.id, error.message)
                continue
            if voxel_hash(voxels) != expected:
                what = "voxels" if kind == VOLUMES else "labels"
                yield Damage(case.id, f"its {what} in {path} are not what was written (hash)")

    def _labelled(self, case: str) -> Case:
        row = self.cases[case]
        if not row.has_label:
            raise WorkspaceError(f"case {case} has no label map", "choose cases that have one")
        return row

    def _whole(self, kind: str, case: Case) -> NDArray[Any]:
        if case.offset >= 0:
            return self._read(kind, case)
        if (kept := self._kept.get((kind, case.id))) is None:
            kept = self._kept[kind, case.id] = self._read(kind, case)
        self._kept.move_to_end((kind, case.id))
        while len(self._kept) > 1 and sum(array.nbytes for array in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return kept

    def _read(self, kind: str, case: Case) -> NDArray[Any]:
        if case.offset >= 0:
            return self._maps[kind][case.offset : case.offset + case.num_voxels].reshape(case.shape)
        return read_whole(file_of(self.folder, kind, case.id), case.shape, _TYPES[kind])

    def _box(self, kind: str, case: Case, origin: Shape3, size: Shape3) -> NDArray[Any]:
        if case.offset >= 0:
            return cut(self._read(kind, case), origin, size)
        if (kept := self._kept.get((kind, case.id))) is not None:
            return cut(kept, origin, size)
        result: NDArray[Any] = np.zeros(size, dtype=_TYPES[kind])
        if (boxes := _overlap(case.shape, origin, size)) is not None:
            result[boxes[1]] = read_box(file_of(self.folder, kind, case.id), case.shape, _TYPES[kind], boxes[0])
        return result


def cut(array: NDArray[Scalar], origin: Shape3, size: Shape3) -> NDArray[Scalar]:
    """Cuts a box out of a volume; voxels outside the volume are 0.

    Args:
        array: ``(x, y, z)``.
        origin: First voxel along each axis; may be negative.
        size: Edge lengths in voxels.

    Returns:
        A view where the box lies inside the volume, else a copy.

    Example:
        >>> cut(np.ones((2, 2, 2)), (-1, 0, 0), (2, 2, 2)).sum()
        np.float64(4.0)
    """
    if all(0 <= start <= extent - length for start, length, extent in zip(origin, size, array.shape, strict=True)):
        return array[tuple(slice(start, start + length) for start, length in zip(origin, size, strict=True))]
    result = np.zeros(size, dtype=array.dtype)
    if (boxes := _overlap(array.shape, origin, size)) is not None:
        result[boxes[1]] = array[boxes[0]]
    return result


_Box = tuple[slice, slice, slice]


def _overlap(shape: tuple[int, ...], origin: Shape3, size: Shape3) -> tuple[_Box, _Box] | None:
    """Where a box and a volume overlap, in the volume's voxels and in the box's; None where they do not."""
    inside, target = [], []
    for start, length, extent in zip(origin, size, shape, strict=True):
        low, high = max(start, 0), min(start + length, extent)
        if high <= low:
            return None
        inside.append(slice(low, high))
        target.append(slice(low - start, high - start))
    return (inside[0], inside[1], inside[2]), (target[0], target[1], target[2])
