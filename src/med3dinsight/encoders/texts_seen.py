"""Whose label maps a captioner's texts were made from: a file beside the texts, for everybody who learns from them."""

from __future__ import annotations

from pathlib import Path

from ..workspace.files import read_json, write_json
from .seen import Seen, seen_in

#: In a captioner's folder; absent where no label map was read.
LABELS_SEEN = "labels_seen.json"


def write_labels_seen(folder: Path, seen: Seen | None) -> None:
    """Leaves beside a captioner's texts whose label maps they were made from; None where of nobody's.

    Args:
        folder: The captioner's folder.
        seen: Those people.
    """
    path = folder / LABELS_SEEN
    if seen is None:
        path.unlink(missing_ok=True)
    else:
        write_json(path, seen.as_json())


def labels_seen(folder: Path) -> Seen | None:
    """Returns whose label maps the texts in a captioner's folder were made from; None where of nobody's."""
    path = folder / LABELS_SEEN
    return seen_in(read_json(path)) if path.exists() else None
