"""Prepared voxels: one flat memory map for images, one for label maps, and a manifest of rows.

``prepared/voxels.u8`` holds all volumes one after another in C order of ``[x, y, z]``,
``prepared/labels.u16`` the label maps at the same offsets, ``prepared/manifest.jsonl`` one
:class:`~med3dinsight.records.Case` a line. A volume counts once its line is in the manifest: after a
kill, voxels beyond the last line are cut off and written again.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import WorkspaceError
from ..records import Case, Crop, case_from_json, to_json
from ..types import Shape3
from .files import disk_errors, sync

Scalar = TypeVar("Scalar", bound=np.generic)
VOXELS, LABELS, MANIFEST = "voxels.u8", "labels.u16", "manifest.jsonl"


def read_manifest(folder: Path) -> list[Case]:
    """Reads the rows of ``manifest.jsonl``; a last line torn by a kill is left out."""
    path = folder / MANIFEST
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    return [case_from_json(json.loads(line)) for line in lines[:-1] if line]


class VoxelWriter:
    """Appends prepared volumes to a store; goes on after a kill.

    Args:
        folder: The workspace's ``prepared`` folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.cases = read_manifest(folder)
        self.end = sum(case.num_voxels for case in self.cases)
        self._trim()

    def _trim(self) -> None:
        manifest = self.folder / MANIFEST
        if manifest.exists():
            content = manifest.read_bytes()
            os.truncate(manifest, content.rfind(b"\n") + 1)
        for name, width in ((VOXELS, 1), (LABELS, 2)):
            path = self.folder / name
            path.touch()
            os.truncate(path, self.end * width)

    def append(self, case: Case, voxels: NDArray[np.uint8], label: NDArray[np.uint16] | None) -> Case:
        """Writes one volume and its row; returns the row with its offset in the store.

        Args:
            case: The row; its ``offset`` and ``has_label`` are set here.
            voxels: ``(x, y, z)`` uint8.
            label: ``(x, y, z)`` uint16 or None.

        Raises:
            DiskFullError: The disk is full; the store stays as it was.
        """
        row = {**to_json(case), "offset": self.end, "has_label": label is not None}
        manifest = self.folder / MANIFEST
        size = manifest.stat().st_size if manifest.exists() else 0
        with disk_errors(self.folder):
            try:
                self._write(VOXELS, np.ascontiguousarray(voxels).tobytes(), self.end)
                if label is not None:
                    self._write(LABELS, np.ascontiguousarray(label).tobytes(), self.end * 2)
                else:
                    os.truncate(self.folder / LABELS, (self.end + case.num_voxels) * 2)
                with manifest.open("ab") as handle:
                    handle.write(json.dumps(row).encode() + b"\n")
                    handle.flush()
                    os.fsync(handle.fileno())
            except OSError:
                if manifest.exists():
                    os.truncate(manifest, size)
                self._trim()
                raise
        self.end += case.num_voxels
        written = case_from_json(row)
        self.cases.append(written)
        return written

    def _write(self, name: str, content: bytes, offset: int) -> None:
        path = self.folder / name
        with path.open("r+b") as handle:
            handle.seek(offset)
            handle.write(content)
            handle.flush()
        sync(path)


class VoxelStore:
    """Reads prepared volumes; several processes may read at once.

    Args:
        folder: The workspace's ``prepared`` folder.

    Raises:
        WorkspaceError: There is no prepared volume.
    """

    def __init__(self, folder: Path) -> None:
        self.cases: dict[str, Case] = {case.id: case for case in read_manifest(folder)}
        if not self.cases:
            raise WorkspaceError(f"no prepared volumes in {folder}", "run `med3dinsight prepare` first")
        self._voxels = np.memmap(folder / VOXELS, dtype=np.uint8, mode="r")
        self._labels = np.memmap(folder / LABELS, dtype=np.uint16, mode="r")

    def volume(self, case: str) -> NDArray[np.uint8]:
        """Returns a read-only view ``(x, y, z)`` uint8 of a prepared volume."""
        row = self.cases[case]
        return self._voxels[row.offset : row.offset + row.num_voxels].reshape(row.shape)

    def crop(self, crop: Crop) -> NDArray[np.uint8]:
        """Reads a crop, ``(s, s, s)`` uint8; voxels outside the volume are 0."""
        return cut(self.volume(crop.case), crop.origin, (crop.size,) * 3)

    def label(self, case: str) -> NDArray[np.uint16]:
        """Returns a read-only view ``(x, y, z)`` uint16 of a label map.

        Raises:
            WorkspaceError: The case has no label map.
        """
        row = self.cases[case]
        if not row.has_label:
            raise WorkspaceError(f"case {case} has no label map", "choose cases that have one")
        return self._labels[row.offset : row.offset + row.num_voxels].reshape(row.shape)


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
    inside, target = [], []
    for start, length, extent in zip(origin, size, array.shape, strict=True):
        low, high = max(start, 0), min(start + length, extent)
        if high <= low:
            return result
        inside.append(slice(low, high))
        target.append(slice(low - start, high - start))
    result[tuple(target)] = array[tuple(inside)]
    return result
