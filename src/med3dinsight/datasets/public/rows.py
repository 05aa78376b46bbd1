"""Rows of a table that comes with a data set: CSV, TSV, or the first sheet of an Excel file."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from ...errors import InputError

SUFFIXES = (".csv", ".tsv", ".xlsx")
#: Unpacked, a part of an Excel file may have so many bytes; the largest that is read has half a megabyte.
MAX_PART = 64 << 20
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def read_rows(path: Path) -> list[dict[str, str]]:
    """Reads a table by the names of its columns; blanks around names and values are taken away.

    Args:
        path: A file with one of :data:`SUFFIXES`, its first row the names.

    Returns:
        One dict a row; empty cells are "".

    Raises:
        InputError: It is missing or no table of that kind.
    """
    try:
        if path.suffix.lower() == ".xlsx":
            lines = list(_sheet(path))
        else:
            with path.open(newline="", encoding="utf-8-sig") as handle:
                lines = list(csv.reader(handle, delimiter="\t" if path.suffix.lower() == ".tsv" else ","))
    except (OSError, UnicodeDecodeError, csv.Error, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise InputError(f"{path.name} is no readable table: {error}", "save it as a CSV file in UTF-8") from None
    # Parts or cells that are missing; NotImplementedError: a compression that zipfile does not know.
    except (KeyError, IndexError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path.name} is no Excel table: {error}", "save it as a CSV file in UTF-8") from None
    names = [name.strip() for name in lines[0]] if lines else []
    return [
        {name: value.strip() for name, value in zip(names, [*line, *([""] * len(names))], strict=False) if name}
        for line in lines[1:]
    ]


def _sheet(path: Path) -> Iterator[list[str]]:
    with zipfile.ZipFile(path) as archive:
        parts = sorted(name for name in archive.namelist() if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", name))
        texts: list[str] = []
        if "xl/sharedStrings.xml" in archive.namelist():
            texts = ["".join(item.itertext()) for item in _part(archive, "xl/sharedStrings.xml").iter(f"{_MAIN}si")]
        for row in _part(archive, parts[0]).iter(f"{_MAIN}row"):
            values: list[str] = []
            for cell in row.iter(f"{_MAIN}c"):
                # Empty cells are not written: the place of a cell is in its name, such as B7.
                place = _column(cell.get("r", "")) or len(values)
                values += [""] * (place - len(values))
                values.append(_text(cell, texts))
            yield values


def _part(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    with archive.open(name) as handle:
        content = handle.read(MAX_PART + 1)
    if len(content) > MAX_PART or b"<!DOCTYPE" in content[:4096]:
        raise ValueError(f"{name} is too large or declares entities")
    return ElementTree.fromstring(content)


def _column(name: str) -> int:
    number = 0
    for letter in re.match(r"[A-Z]{0,3}", name)[0]:  # type: ignore[index]
        number = number * 26 + ord(letter) - ord("A") + 1
    return max(number - 1, 0)


def _text(cell: ElementTree.Element, texts: list[str]) -> str:
    value = cell.findtext(f"{_MAIN}v", "")
    if cell.get("t") == "s":
        return texts[int(value)]
    inline = cell.find(f"{_MAIN}is")
    return value if inline is None else "".join(inline.itertext())
