"""A table of scans: ``samples.csv`` in the source folder says what the files are."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import cast

from ..errors import InputError
from ..records import LeftOut, Source
from ..types import Modality
from ..volumes.labels import read_label_names
from .naming import safe_id

NAME = "samples.csv"
#: Columns that are read; only ``image`` is required, others are allowed and left alone.
COLUMNS = ("id", "subject", "modality", "image", "label", "origin", "licence")


def read_table(path: Path) -> tuple[list[Source], list[LeftOut]]:
    """Reads a table of scans; paths in it are relative to its folder.

    Without an ``id`` the image's path is it, without a ``subject`` the id.

    Args:
        path: A CSV file with a header line; see :data:`COLUMNS`.

    Returns:
        The scans in the order of the table, and the rows that cannot be used.

    Raises:
        InputError: The table is missing, has no column ``image``, or names an id twice.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            rows = [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
            columns = reader.fieldnames or ()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}", "write it as a CSV file in UTF-8") from None
    if "image" not in columns:
        raise InputError(f"{path} has no column `image`", "the columns are " + ", ".join(COLUMNS))
    sources: list[Source] = []
    problems: list[LeftOut] = []
    taken: set[str] = set()
    for row in rows:
        try:
            source = _source(row, path.parent)
        except InputError as error:
            problems.append(LeftOut(str(path.parent / row["image"]), error.message, error.hint))
            continue
        if source.id in taken:
            raise InputError(f"{path.name} names the id {source.id} twice", "give every row an id of its own")
        taken.add(source.id)
        sources.append(source)
    return sources, problems


def _source(row: dict[str, str], folder: Path) -> Source:
    image = (folder / row["image"]).absolute()
    if not row["image"] or not image.exists():
        raise InputError(f"the image {row['image']!r} of the table is missing", "correct the path in the table")
    label = (folder / row["label"]).absolute() if row.get("label") else None
    if label is not None and not label.exists():
        raise InputError(f"the label map {row['label']!r} of the table is missing", "correct the path in the table")
    modality = row.get("modality", "").lower()
    if modality not in ("", "ct", "mr"):
        raise InputError(f"the table says modality {modality!r}", "write ct or mr, or leave it empty")
    name = safe_id(row.get("id") or row["image"])
    return Source(
        id=name,
        subject=row.get("subject") or name,
        image=str(image),
        label=None if label is None else str(label),
        label_names=() if label is None else read_label_names(label),
        modality=cast("Modality | None", modality or None),
        origin=row.get("origin", ""),
        licence=row.get("licence", ""),
    )
