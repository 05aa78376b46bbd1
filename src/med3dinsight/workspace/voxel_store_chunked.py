"""Writing the chunked store: ``volumes/CASE.b2nd`` and ``labels/CASE.b2nd``, then the case's row.

A file appears whole or not at all, and counts once its row is in the manifest: after a kill, files without a row are
removed and written again.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import UserError
from ..records import Case
from .files import disk_errors, write_bytes
from .voxel_chunks import SUFFIX
from .voxel_manifest import append_row, cut_torn_line, keep_rows, read_manifest

VOLUMES, LABEL_MAPS = "volumes", "labels"
#: The ``offset`` of a case that has files of its own.
OWN_FILES = -1


class ChunkedWriter:
    """Adds compressed volumes to a store; goes on after a kill.

    Args:
        folder: The workspace's ``prepared`` folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with disk_errors(folder):
            for name in (VOLUMES, LABEL_MAPS):
                (folder / name).mkdir(parents=True, exist_ok=True)
            cut_torn_line(folder)
            self.cases = read_manifest(folder)
            self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        rows = {case.id: case for case in self.cases}
        for name in (VOLUMES, LABEL_MAPS):
            for path in (self.folder / name).iterdir():
                row = rows.get(path.name.removesuffix(SUFFIX))
                if row is None or (name == LABEL_MAPS and not row.has_label):
                    path.unlink()

    def append(self, case: Case, voxels: bytes, label: bytes | None) -> Case:
        """Writes one volume and its row; returns the row.

        Args:
            case: The row; ``offset``, ``has_label`` and the sizes are set here.
            voxels: What :func:`~med3dinsight.workspace.voxel_chunks.compress` returned for the volume.
            label: The same for its label map, or None.

        Raises:
            DiskFullError: The disk is full; the store stays as it was.
        """
        row = replace(
            case, offset=OWN_FILES, has_label=label is not None, voxel_bytes=len(voxels), label_bytes=len(label or b"")
        )
        files = {file_of(self.folder, VOLUMES, case.id): voxels}
        if label is not None:
            files[file_of(self.folder, LABEL_MAPS, case.id)] = label
        try:
            for path, content in files.items():
                write_bytes(path, content)
            with disk_errors(self.folder):
                append_row(self.folder, row)
        except (OSError, UserError):  # not Ctrl-C: it may come when the row is already on the disk
            for path in files:
                path.unlink(missing_ok=True)
            raise
        self.cases.append(row)
        return row

    def sort(self, names: Sequence[str]) -> None:
        """Brings the rows into the order of ``names``, which holds all cases."""
        place = {name: number for number, name in enumerate(names)}
        ordered = sorted(self.cases, key=lambda row: place[row.id])
        if ordered != self.cases:
            keep_rows(self.folder, [row.id for row in ordered])
            self.cases = ordered


def file_of(folder: Path, kind: str, case: str) -> Path:
    """Returns a case's file; ``kind`` is ``VOLUMES`` or ``LABEL_MAPS``."""
    return folder / kind / f"{case}{SUFFIX}"


def remove_chunked(folder: Path) -> None:
    """Removes the files of a chunked store, where a flat one takes its place."""
    for name in (VOLUMES, LABEL_MAPS):
        shutil.rmtree(folder / name, ignore_errors=True)
