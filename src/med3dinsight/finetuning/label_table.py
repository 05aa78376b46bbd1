"""Labels of whole volumes: a CSV or TSV file of image, label and subject, matched to the prepared cases."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import suggest
from ..datasets.naming import safe_id
from ..datasets.splits import SIDES
from ..errors import InputError, LeakageError
from ..records import Case

COLUMNS = ("image", "label", "subject")
SPLIT = "split"


@dataclass(frozen=True)
class LabelTable:
    """What the table says of the prepared cases.

    Attributes:
        classes: Names of the classes; numbers in their order, else by name. A class's index is its place.
        class_of: ``{case: class index}``; cases that the table does not name are absent.
        side_of: ``{subject: "train", "validation" or "test"}``; empty where the table has no column ``split``.
    """

    classes: tuple[str, ...]
    class_of: dict[str, int]
    side_of: dict[str, str]

    @property
    def identity(self) -> list[Any]:
        """Changes with what the table says, as plain JSON values."""
        return [list(self.classes), dict(sorted(self.class_of.items())), dict(sorted(self.side_of.items()))]


def read_label_table(path: Path, cases: Iterable[Case]) -> LabelTable:
    """Reads a table of labels and finds the case of each row.

    ``image`` is the path of the scan (absolute, or below the table's folder), the end of that path, its file name
    with or without ending, or the id of the case. ``label`` is a name or a number. A file whose name ends in
    ``.tsv`` has tabs between its columns, any other commas.

    Args:
        path: The file.
        cases: All prepared cases.

    Raises:
        InputError: The file or a column is missing, a row has no label or no case or another subject than its case,
            two rows are about one case, or all rows have the same label.
        LeakageError: A subject is on two sides of the split.
    """
    rows = _read(path)
    index = _Cases(cases, path.parent)
    labels: dict[str, str] = {}
    lines: dict[str, int] = {}
    side_of: dict[str, str] = {}
    for line, row in enumerate(rows, start=2):
        where = f"{path.name}, line {line}"
        case = index.find(row["image"], where)
        _check(row, where, case)
        if case.id in labels:
            raise InputError(
                f"{path.name} labels case {case.id} in line {lines[case.id]} as {labels[case.id]} and in line {line} "
                f"as {row['label']}",
                "leave one line a case",
            )
        labels[case.id], lines[case.id] = row["label"], line
        if SPLIT in row and side_of.setdefault(case.subject, row[SPLIT]) != row[SPLIT]:
            raise LeakageError(
                f"{where}: subject {case.subject} is on two sides, {side_of[case.subject]} and {row[SPLIT]}",
                "keep all scans of a person on one side",
            )
    classes = _sorted(set(labels.values()))
    if len(classes) < 2:
        raise InputError(
            f"{path.name} has the label {', '.join(classes) or 'of no case'} only", "classification needs two classes"
        )
    return LabelTable(classes, {case: classes.index(label) for case, label in labels.items()}, side_of)


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
            columns = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = columns
            rows = [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "give a CSV or TSV file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}", "write it as a CSV or TSV file in UTF-8") from None
    for name in COLUMNS:
        if name not in columns:
            raise InputError(
                f"{path.name} has no column `{name}`",
                f"it has {', '.join(columns) or 'none'}; the columns are {', '.join(COLUMNS)}, and split if you like",
            )
    return rows


def _check(row: dict[str, str], where: str, case: Case) -> None:
    if not row["label"]:
        raise InputError(f"{where}: {row['image']} has no label", "fill it in, or remove the line")
    if row["subject"] != case.subject:
        raise InputError(
            f"{where}: subject {row['subject'] or '(empty)'}, but case {case.id} was prepared as {case.subject}",
            "write the same subject, or prepare again with a subject_pattern or a samples.csv that gives it",
        )
    if SPLIT in row and row[SPLIT] not in SIDES:
        raise InputError(
            f"{where}: split {row[SPLIT] or '(empty)'}", f"write {', '.join(SIDES[:-1])} or {SIDES[-1]} in every line"
        )


class _Cases:
    """Prepared cases by what a table may call them: the id, the path, its end, the file name without ending."""

    def __init__(self, cases: Iterable[Case], folder: Path) -> None:
        self.folder = folder
        self.by_id: dict[str, Case] = {}
        self.by_path: dict[Path, Case] = {}
        self.by_file: dict[str, list[Case]] = defaultdict(list)
        self.by_stem: dict[str, list[Case]] = defaultdict(list)
        for case in cases:
            path = Path(case.image)
            self.by_id[case.id], self.by_path[path.resolve()] = case, case
            self.by_file[path.name].append(case)
            for name in {safe_id(path.name), case.id}:
                self.by_stem[name].append(case)

    def find(self, image: str, where: str) -> Case:
        """Returns the case of a row, by the closest kind of match that there is."""
        if not image:
            raise InputError(f"{where} names no image", "fill it in, or remove the line")
        if image in self.by_id:
            return self.by_id[image]
        if (path := (self.folder / image).resolve()) in self.by_path:
            return self.by_path[path]
        ending = "/" + image.removeprefix("./")
        found = [case for case in self.by_file.get(Path(image).name, ()) if case.image.endswith(ending)]
        found = found or self.by_stem.get(safe_id(image), [])
        if not found:
            near = suggest(safe_id(image), self.by_id)
            hint = near if near.startswith("did") else "prepare it, or remove the line"
            raise InputError(f"{where}: no prepared case has the image {image}", hint)
        if len(found) > 1:
            raise InputError(
                f"{where}: {image} may be {found[0].id} or {found[1].id}", "write the whole path, or the id of the case"
            )
        return found[0]


def _sorted(labels: set[str]) -> tuple[str, ...]:
    try:
        return tuple(sorted(labels, key=int))
    except ValueError:
        return tuple(sorted(labels))
