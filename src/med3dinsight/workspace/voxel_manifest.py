"""The manifest of a voxel store: a :class:`~med3dinsight.records.Case` a line; a volume counts by its line."""

from __future__ import annotations

import json
import os
from pathlib import Path

from ..records import Case, case_from_json, to_json

MANIFEST = "manifest.jsonl"


def read_manifest(folder: Path) -> list[Case]:
    """Reads the rows of ``manifest.jsonl``; a last line torn by a kill is left out."""
    path = folder / MANIFEST
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    return [case_from_json(json.loads(line)) for line in lines[:-1] if line]


def cut_torn_line(folder: Path) -> None:
    """Removes a last line torn by a kill."""
    manifest = folder / MANIFEST
    if manifest.exists():
        os.truncate(manifest, manifest.read_bytes().rfind(b"\n") + 1)


def append_row(folder: Path, case: Case) -> None:
    """Writes a row to the end, on the disk when it returns; where that fails the manifest stays as it was.

    Raises:
        OSError: The disk is full, or the file cannot be written to.
    """
    manifest = folder / MANIFEST
    size = manifest.stat().st_size if manifest.exists() else 0
    try:
        with manifest.open("ab") as handle:
            handle.write(json.dumps(to_json(case)).encode() + b"\n")
            handle.flush()
            os.fsync(handle.fileno())
    except OSError:
        if manifest.exists():
            os.truncate(manifest, size)
        raise
