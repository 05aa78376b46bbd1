"""Prepared volumes that are not as they were written: those whose files are gone or cut, and those noted as damaged.

Presence and size are looked at wherever it matters. Other content is only seen by who reads every voxel; what was
found so is noted in ``prepared/damaged.json``, which changes no voxel under anybody and goes when it is mended.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..records import Case
from .files import disk_errors, read_json, write_json
from .voxel_store_chunked import LABEL_MAPS, VOLUMES, file_of
from .voxel_store_flat import LABELS, VOXELS
from .workspace import Workspace

NOTE = "damaged.json"
#: Bytes a voxel of the flat store's files.
_WIDTHS = {VOXELS: 1, LABELS: 2}


@dataclass(frozen=True)
class Damage:
    """A volume or label map that is not what was written.

    Attributes:
        case: Id of the case.
        reason: What is wrong, naming the file.
    """

    case: str
    reason: str


def lost(folder: Path, rows: Sequence[Case]) -> list[Damage]:
    """Names the volumes and label maps whose file is missing or has another size than was written; none is read.

    Args:
        folder: The workspace's ``prepared`` folder.
        rows: The rows of its manifest.
    """
    flat = {name: _size(folder / name) for name in _WIDTHS} if flat_voxels(rows) else {}
    return [Damage(row.id, reason) for row in rows for reason in _reasons(folder, row, flat)]


def _reasons(folder: Path, row: Case, flat: dict[str, int | None]) -> Iterator[str]:
    for kind, name, own in ((VOLUMES, VOXELS, row.voxel_bytes), (LABEL_MAPS, LABELS, row.label_bytes)):
        if kind == LABEL_MAPS and not row.has_label:
            continue
        if row.offset < 0:
            path, least, expected = file_of(folder, kind, row.id), "", own
            size = _size(path)
        else:
            path, least, expected = folder / name, "at least ", (row.offset + row.num_voxels) * _WIDTHS[name]
            size = flat[name]
        if size is None:
            yield f"{path} is missing"
        elif size < expected or (size > expected and not least):
            yield f"{path} has {size} bytes; {least}{expected} were written"


def flat_voxels(rows: Sequence[Case]) -> int:
    """Returns how many voxels the rows take in the flat store's files; 0 where each case has files of its own."""
    return max((row.offset + row.num_voxels for row in rows if row.offset >= 0), default=0)


def flat_is_trim(folder: Path, rows: Sequence[Case]) -> bool:
    """Says whether the flat store's files, where there should be some, end where the last row does."""
    end = flat_voxels(rows)
    return not end or all(_size(folder / name) == end * width for name, width in _WIDTHS.items())


def noted(folder: Path) -> frozenset[str]:
    """Returns the ids of the cases that were found damaged by reading them, and are not mended yet."""
    return frozenset(read_json(folder / NOTE)) if (folder / NOTE).exists() else frozenset()


def note_damage(workspace: Workspace, cases: Sequence[str]) -> None:
    """Notes the cases that were found damaged, in place of those noted before; nothing is written where none changed.

    Whoever found them still reads the store, so that nobody mends it meanwhile.

    Raises:
        WorkspaceLockedError: Somebody prepares there.
        WorkspaceError: The workspace cannot be written to.
    """
    if noted(workspace.prepared) == frozenset(cases):
        return
    with workspace.lock("prepared", wait_seconds=0.5):
        if cases:
            write_json(workspace.prepared / NOTE, sorted(set(cases)))
        else:
            forget_damage(workspace.prepared)


def forget_damage(folder: Path) -> None:
    """Removes the note, where the rows that it names are gone."""
    with disk_errors(folder):
        (folder / NOTE).unlink(missing_ok=True)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None
