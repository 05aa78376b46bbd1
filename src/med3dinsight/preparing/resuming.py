"""Going on where a run of ``prepare`` was stopped: which rows of the manifest are still right.

``settings.json`` keeps, beside the settings, the state (paths, sizes, times) of every scan's files. A
row is right where neither has changed and its volume is not damaged. The store is only touched once there
is something to write.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path
from typing import Any

from ..records import Case, Source
from ..workspace.files import read_json, write_json
from ..workspace.provenance import RECORD, fingerprint, read_record
from ..workspace.voxel_damage import flat_is_trim, forget_damage, lost, noted
from ..workspace.voxel_guard import make_lock, nobody_reading
from ..workspace.voxel_manifest import keep_rows, read_manifest
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


def is_whole(folder: Path) -> bool:
    """Says whether a finished store still holds all that was written, by presence and size, and no known damage.

    Args:
        folder: The workspace's ``prepared`` folder; it need not exist.
    """
    record = read_record(folder)
    if record is None:
        return False
    rows = read_manifest(folder)
    return len(rows) == record.result["prepared"] and not _damaged(folder, rows) and flat_is_trim(folder, rows)


def _damaged(folder: Path, rows: Sequence[Case]) -> frozenset[str]:
    return noted(folder).intersection(row.id for row in rows) | {item.case for item in lost(folder, rows)}


class ResumedStore:
    """The voxel store of an earlier run with the same settings, as far as it is still right.

    A row is kept where its files have neither changed nor gone, and what was prepared of them is not damaged. In the
    flat store rows behind the first one that is not kept lie behind it in the file, and are prepared again too.

    Args:
        folder: The workspace's ``prepared`` folder.
        config: The settings, as planned.
        settings: Fingerprint of the settings.
        states: ``{case: state}`` of all cases, see :func:`source_state`.
    """

    def __init__(self, folder: Path, config: PrepareConfig, settings: str, states: Mapping[str, str]) -> None:
        self.folder, self.config = folder, config
        self._content: dict[str, Any] = {"settings": settings, "inputs": dict(states)}
        self._writer: VoxelWriter | ChunkedWriter | None = None
        rows = read_manifest(folder)
        before = read_json(folder / SETTINGS) if (folder / SETTINGS).exists() else {"settings": None, "inputs": {}}
        inputs = before["inputs"] if before["settings"] == settings else {}
        damaged = _damaged(folder, rows)

        def is_right(row: Case) -> bool:
            return row.id in states and inputs.get(row.id) == states[row.id] and row.id not in damaged

        select = takewhile if any(row.offset >= 0 for row in rows) else filter
        self._right = [row.id for row in select(is_right, rows)]
        self._drops = len(self._right) < len(rows)
        # A manifest that lost rows leaves voxels without one, which somebody may still read.
        record = read_record(folder)
        self._changes = self._drops or (record is not None and len(rows) < record.result["prepared"])
        self.kept = frozenset(self._right)

    def append(self, packed: Packed) -> None:
        """Writes a volume and its row.

        Raises:
            DiskFullError: The disk is full; the rows before stay.
            WorkspaceLockedError: Somebody reads the store, and rows of it are no longer right.
        """
        self._open().append(packed.case, packed.voxels, packed.label)

    def finish(self) -> int:
        """Drops rows that are no longer right and returns how many remain; an empty store is left as it was.

        The rows of a chunked store are brought into the order of the plan, so that one that was mended or has grown
        equals a fresh one.
        """
        if self._writer is None and not self._right:
            return 0
        writer = self._open()
        if isinstance(writer, ChunkedWriter):
            writer.sort(list(self._content["inputs"]))
        return len(writer.cases)

    def _open(self) -> VoxelWriter | ChunkedWriter:
        if self._writer is None:
            make_lock(self.folder)
            with nobody_reading(self.folder) if self._changes else nullcontext():
                (self.folder / RECORD).unlink(missing_ok=True)
                if self._drops:
                    keep_rows(self.folder, self._right)
                # After the rows that it names, before they come again.
                forget_damage(self.folder)
                # Before any row: a row without the state that it was made from is never kept.
                write_json(self.folder / SETTINGS, self._content)
                self._writer = open_writer(self.folder, self.config)
        return self._writer
