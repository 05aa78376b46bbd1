"""What a user should know of a prepared set, counted from its rows: what was assumed, and unusual intensities."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ..types import Modality
from ..workspace.voxel_manifest import read_manifest

_SENTENCES: dict[tuple[Modality, str], str] = {
    ("ct", "kept 0..255"): "are no HU but were scaled to 0..255 before; they are kept so",
    ("ct", "kept 0..1"): "are no HU but were scaled to 0..1 before; they are kept so",
    ("ct", "kept z-scores"): "are no HU but z-scores; they are kept so",
    ("ct", "percentile"): "have no value below 0, so no HU; they are windowed by percentiles",
    ("mr", "kept 0..255"): "were scaled to 0..255 before; they are kept so",
    ("mr", "kept 0..1"): "were scaled to 0..1 before; they are kept so",
    ("mr", "kept z-scores"): "were z-scores before; they are kept so",
}


def notes_of(folder: Path) -> tuple[str, ...]:
    """Returns a sentence for each thing that a reader assumed, and for each kind of intensities that is unusual.

    Args:
        folder: The workspace's ``prepared`` folder.
    """
    rows = read_manifest(folder)
    counts = Counter((row.modality, row.window_rule) for row in rows)
    first = {(row.modality, row.window_rule): row.id for row in reversed(rows)}
    assumed: dict[str, list[str]] = {}
    for row in rows:
        for note in row.notes:
            assumed.setdefault(note, []).append(row.id)
    others = {note: f" and {len(ids) - 1} more" if len(ids) > 1 else "" for note, ids in assumed.items()}
    said = tuple(f"{ids[0]}{others[note]}: {note}" for note, ids in assumed.items())
    return said + tuple(
        f"intensities of {counts[key]} {key[0].upper()} scan{'s' if counts[key] > 1 else ''} ({first[key]}"
        f'{" and others" if counts[key] > 1 else ""}) {sentence} (prepare.normalised = "never" windows them anyway)'
        for key, sentence in _SENTENCES.items()
        if counts[key]
    )
