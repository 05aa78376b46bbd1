"""The manifest of a voxel store: a :class:`~med3dinsight.records.Case` a line; a volume counts by its line."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import WorkspaceError
from ..records import Case, case_from_json, to_json
from .files import write_bytes

MANIFEST = "manifest.jsonl"


def read_manifest(folder: Path) -> list[Case]:
    """Reads the rows of ``manifest.jsonl``; a last line torn by a kill is left out.

    Raises:
        WorkspaceError: Another line is no row.
    """
    path = folder / MANIFEST
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    try:
        return [case_from_json(json.loads(line)) for line in lines[:-1] if line]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise WorkspaceError(
            f"{path} is damaged: {' '.join(str(error).split())}",
            "remove it with `clean WORK prepare` and run `med3dinsight prepare` again",
        ) from None


def keep_rows(folder: Path, names: Sequence[str]) -> None:
    """Writes the manifest anew with the rows of these cases alone, in this order; their lines stay as they are."""
    lines = [line for line in (folder / MANIFEST).read_bytes().splitlines(keepends=True) if line.strip()]
    by_name = {row.id: line for row, line in zip(read_manifest(folder), lines, strict=False)}  # the last may be torn
    write_bytes(folder / MANIFEST, b"".join(by_name[name] for name in names))


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
