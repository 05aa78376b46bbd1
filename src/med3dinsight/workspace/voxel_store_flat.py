"""Writing the flat store: all volumes one after another in one file, label maps at the same places in another."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..records import Case
from .files import disk_errors, sync
from .voxel_manifest import append_row, cut_torn_line, read_manifest

VOXELS, LABELS = "voxels.u8", "labels.u16"


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
        cut_torn_line(self.folder)
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
        row = replace(case, offset=self.end, has_label=label is not None)
        with disk_errors(self.folder):
            try:
                self._write(VOXELS, voxels, self.end)
                if label is not None:
                    self._write(LABELS, label, self.end * 2)
                else:
                    os.truncate(self.folder / LABELS, (self.end + case.num_voxels) * 2)
                append_row(self.folder, row)
            except OSError:
                self._trim()
                raise
        self.end += case.num_voxels
        self.cases.append(row)
        return row

    def _write(self, name: str, content: NDArray[Any], offset: int) -> None:
        path = self.folder / name
        with path.open("r+b") as handle:
            handle.seek(offset)
            handle.write(np.ascontiguousarray(content).data)
            handle.flush()
        sync(path)


def remove_flat(folder: Path) -> None:
    """Removes the files of a flat store, where a chunked one takes its place."""
    for name in (VOXELS, LABELS):
        (folder / name).unlink(missing_ok=True)
