"""Going on where a run of ``prepare`` was stopped: which rows of the manifest are still right.

``settings.json`` keeps, beside the settings, the state (paths, sizes, times) of every scan's files. A
row is right where neither has changed. The store is only touched once there is something to write.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..records import Source
from ..workspace.files import read_json, write_bytes, write_json
from ..workspace.provenance import RECORD, fingerprint
from ..workspace.voxel_guard import make_lock, nobody_reading
from ..workspace.voxel_manifest import MANIFEST, read_manifest
from ..workspace.voxel_store_chunked import ChunkedWriter
from ..workspace.voxel_store_flat import VoxelWriter
from .config import PrepareConfig
from .packing import Packed, open_writer

SETTINGS = "settings.json"


def source_state(source: Source, root: Path) -> str:
    """Hashes what is known about a scan, and path, size and time of its files; no file is read.

    Args:
        source: The scan.
        root: Folder that the paths of the files are taken relative to.
    """
    files: list[Path] = []
    for name in filter(None, (source.image, source.label)):
        path = Path(name)
        files += sorted(path.iterdir()) if path.is_dir() else [path]
    return fingerprint(asdict(source), [[os.path.relpath(path, root), *_stamp(path)] for path in files])


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError:  # a link to nowhere: the reader will say so
        return []
    return [status.st_size, status.st_mtime_ns]


class ResumedStore:
    """The voxel store of an earlier run with the same settings, as far as it is still right.

    Rows are kept up to the first one whose files have changed or are gone; later ones lie behind it
    in the store and are prepared again.

    Args:
        folder: The workspace's ``prepared`` folder.
        config: The settings, as planned.
        settings: Fingerprint of the settings.
        states: ``{case: state}`` of all cases, see :func:`source_state`.
    """

    def __init__(self, folder: Path, config: PrepareConfig, settings: str, states: Mapping[str, str]) -> None:
        self.folder, self.config = folder, config
        self._content: dict[str, Any] = {"settings": settings, "inputs": dict(states)}
        self._rows = [row.id for row in read_manifest(folder)]
        self._writer: VoxelWriter | ChunkedWriter | None = None
        before = read_json(folder / SETTINGS) if (folder / SETTINGS).exists() else {"settings": None, "inputs": {}}
        self._right = 0
        for name in self._rows:
            state = states.get(name)
            if before["settings"] != settings or state is None or before["inputs"].get(name) != state:
                break
            self._right += 1
        self.kept = frozenset(self._rows[: self._right])

    def append(self, packed: Packed) -> None:
        """Writes a volume and its row.

        Raises:
            DiskFullError: The disk is full; the rows before stay.
            WorkspaceLockedError: Somebody reads the store, and rows of it are no longer right.
        """
        self._open().append(packed.case, packed.voxels, packed.label)

    def finish(self) -> int:
        """Drops rows that are no longer right and returns how many remain; an empty store is left as it was."""
        if self._writer is None and self._right == 0:
            return 0
        return len(self._open().cases)

    def _open(self) -> VoxelWriter | ChunkedWriter:
        if self._writer is None:
            make_lock(self.folder)
            with nobody_reading(self.folder) if self._right < len(self._rows) else nullcontext():
                (self.folder / RECORD).unlink(missing_ok=True)
                if self._right < len(self._rows):
                    lines = (self.folder / MANIFEST).read_bytes().splitlines(keepends=True)
                    write_bytes(self.folder / MANIFEST, b"".join(lines[: self._right]))
                # Before any row: a row without the state that it was made from is never kept.
                write_json(self.folder / SETTINGS, self._content)
                self._writer = open_writer(self.folder, self.config)
        return self._writer
