"""A table of scans: a CSV or TSV file, or ``samples.csv`` in the source folder, says what the files are.

====================  ==========================================================================================
column                what is in it
====================  ==========================================================================================
``image``             path of the scan, or of the folder of a DICOM series; the only column that must be there
``label``             path of a label map where it ends like an image file, or has a ``/`` and is there; else the
                      class of the whole scan
``mask``              path of a label map, always
``report``            text of the report, or path of a ``.txt`` file with it
``id``, ``subject``   without them: the path of the image is the id, the id is the subject
``split``             train, validation (or val, valid, dev) or test; may be empty
``modality``          ct or mr; may be empty
``series``            SeriesInstanceUID, where the folder holds several series; "no-uid" for files without one
``channel``           number of the channel of a 4D file, from 0
``origin``            where it comes from, in words
``licence``           its licence, in words
====================  ==========================================================================================

Capitals in the names of columns make no difference, and other columns are left alone. Paths are relative to the
folder of the table.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError
from ..records import LeftOut, Source
from ..volumes.labels import read_label_names
from ..volumes.reading import SUFFIXES
from .modalities import modality_of
from .naming import compile_subject_pattern, safe_id, subject_of
from .walking import is_there

NAME = "samples.csv"
NAMES = (NAME, "samples.tsv")
#: Columns that are read; only ``image`` is required.
COLUMNS = (
    *("image", "label", "mask", "report", "id", "subject", "split"),
    *("modality", "series", "channel", "origin", "licence"),
)
_SPLITS = {
    "": "",
    "train": "train",
    "training": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
#: Key of a row that has more values than there are columns; no column can be called so.
_TOO_LONG = ","


def recognises(path: Path) -> bool:
    """Says whether it is a table, or a folder with one that is called ``samples``."""
    return table_of(path) is not None


def table_of(path: Path) -> Path | None:
    """Returns the table itself, or the one in a folder; None where there is none."""
    if path.suffix.lower() in (".csv", ".tsv") and not path.is_dir():
        return path
    return next((path / name for name in NAMES if (path / name).is_file()), None)


def find(path: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the scans of a table; see :func:`read_table`.

    Raises:
        ConfigError: The pattern is none.
        InputError: There is no table, or it cannot be used.
    """
    if (table := table_of(path)) is None:
        raise InputError(f"{path} has no table of scans", f"give a .csv or .tsv file, or a folder with {NAME}")
    return read_table(table, subject_pattern)


def read_table(path: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Reads a table of scans.

    Args:
        path: A file in UTF-8 with a header line and the columns above; tabs part them in a ``.tsv``, commas (or
            semicolons, where the header has them) in any other.
        subject_pattern: Regular expression for rows without a ``subject``, see :func:`med3dinsight.datasets.find`.

    Returns:
        The scans in the order of the table, and the rows that cannot be used.

    Raises:
        InputError: The table is missing, is not UTF-8, has no column ``image``, or names an id twice.
    """
    pattern = compile_subject_pattern(subject_pattern)
    sources: list[Source] = []
    problems: list[LeftOut] = []
    lines: dict[str, int] = {}
    for line, row in _rows(path):
        try:
            source = _source(row, path.parent, pattern)
        except InputError as error:
            file = path.parent / row["image"] if row["image"] else path
            problems.append(LeftOut(str(file), f"line {line}: {error.message}", error.hint))
            continue
        if (before := lines.setdefault(source.id.casefold(), line)) != line:
            raise InputError(
                f"{path.name} names the id {source.id} twice, in lines {before} and {line}",
                "give every row an id of its own, in a column `id`",
            )
        sources.append(source)
    return sources, problems


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yields the rows that are not empty, each with the number of its last line; `""` stands for what is not there."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        reason = f"{path.name} is not UTF-8: byte {error.object[error.start]:#04x} in line {line}"
        raise InputError(reason, "save it as CSV in UTF-8") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}", "check its path and rights") from None
    try:
        yield from _parsed(path, text)
    except csv.Error as error:
        raise InputError(f"{path.name} is no sound table: {error}", "see to its quotation marks") from None


def _parsed(path: Path, text: str) -> Iterator[tuple[int, dict[str, str]]]:
    head = text.partition("\n")[0].lower()
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ";" if ";" in head and "," not in head else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    columns = [name.strip().lower() for name in next(reader, [])]
    if "image" not in columns:
        near = f"; it has {', '.join(filter(None, columns))}" if any(columns) else ""
        raise InputError(f"{path.name} has no column `image`{near}", "the columns are " + ", ".join(COLUMNS))
    if doubled := [name for name in COLUMNS if columns.count(name) > 1]:
        raise InputError(f"{path.name} has the column `{doubled[0]}` twice", "leave one of them")
    for values in reader:
        row = dict.fromkeys(COLUMNS, "") | {
            name: value.strip() for name, value in zip(columns, values, strict=False) if name
        }
        if len(values) > len(columns) and any(values[len(columns) :]):
            row[_TOO_LONG] = str(len(values) - len(columns))
        if any(value.strip() for value in values):
            yield reader.line_num, row


def _source(row: dict[str, str], folder: Path, pattern: re.Pattern[str] | None) -> Source:
    if row.get(_TOO_LONG):
        raise InputError(
            f"it has {row[_TOO_LONG]} more values than there are columns", 'put text with commas in "quotation marks"'
        )
    image = _present(folder, row["image"], "image")
    label, class_label = _label(row, folder)
    channel = row["channel"]
    if channel and not (channel.isascii() and channel.isdigit() and len(channel) < 6):
        raise InputError(f"the table says channel {channel!r}", "write a number from 0, or leave it empty")
    modality = modality_of(row["modality"])
    if row["modality"] and modality is None:
        raise InputError(f"the table says modality {row['modality']!r}", "write ct or mr, or leave it empty")
    split = _SPLITS.get(row["split"].lower())
    if split is None:
        raise InputError(f"the table says split {row['split']!r}", "write train, validation or test, or leave it empty")
    parts = (row["image"], row["series"], channel and f"{int(channel):04d}")
    name = safe_id(row["id"] or "_".join(filter(None, (safe_id(parts[0]), *parts[1:]))))
    return Source(
        id=name,
        subject=row["subject"] or subject_of(row["image"], pattern, name),
        image=str(image),
        series=row["series"],
        channel=int(channel) if channel else None,
        label=None if label is None else str(label),
        label_names=() if label is None else read_label_names(label),
        modality=modality,
        origin=row["origin"],
        licence=row["licence"],
        class_label=class_label,
        report=str(_present(folder, row["report"], "report")) if _is_text_file(row["report"]) else row["report"],
        split=split,
    )


def _present(folder: Path, name: str, what: str) -> Path:
    path = (folder / name).absolute()
    if not name or not is_there(path):
        raise InputError(f"the {what} {name!r} of the table is missing", "correct the path in the table")
    return path


def _label(row: dict[str, str], folder: Path) -> tuple[Path | None, str]:
    """Returns the label map and the class of a row."""
    value, mask = row["label"], row["mask"]
    is_map = value.lower().endswith((*SUFFIXES, ".dcm")) or ("/" in value and is_there(folder / value))
    if not is_map:
        return (_present(folder, mask, "label map") if mask else None), value
    if mask and mask != value:
        raise InputError(f"it has two label maps, {value} and {mask}", "leave one; `label` may be the class")
    return _present(folder, value, "label map"), ""


def _is_text_file(report: str) -> bool:
    return report.lower().endswith(".txt") and "\n" not in report and len(report) < 1024


def oddities(path: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells of scans of a folder that its table does not name."""
    named = {name for source in sources for name in (source.image, source.label)}
    if not path.is_dir():
        return []
    folders = {Path(source.image).parent for source in sources if not Path(source.image).is_dir()}
    extra = (
        str(file)
        for folder in sorted(folders)
        for file in sorted(folder.iterdir())
        if file.name.lower().endswith(SUFFIXES) and not file.name.startswith(".")
    )
    hint = "add a row, if it is wanted"
    return [LeftOut(file, "a scan that the table does not name", hint) for file in extra if file not in named]
