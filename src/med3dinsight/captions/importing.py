"""Texts that exist already: a CSV, TSV or Parquet file -> slices of the slice table.

Columns: ``text`` (or ``caption``), and which slice it is about: ``key``, or ``case``, ``plane`` (axial, coronal,
sagittal) and ``index``; for crops also ``x``, ``y``, ``z`` (origin) and ``size``. The file that captioning publishes
has them all.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError, InputError
from ..records import Crop, SliceRef
from ..types import Plane
from ..workspace.caption_store import CaptionStore
from ..workspace.voxel_store import VoxelStore

#: Columns that the text may stand in.
TEXT_COLUMNS = ("text", "caption")
_LONGEST_FIELD = 1 << 24
_COLUMNS_HINT = "it needs a column text, and key, or case, plane and index"


def hash_of(path: Path | None) -> str:
    """Returns the SHA-256 of a file to import.

    Raises:
        ConfigError: No file is named.
        InputError: It cannot be read.
    """
    if path is None:
        raise ConfigError("there is no file to import texts from", "give it by --import FILE")
    try:
        with path.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "check the path") from None


def read_texts(path: Path, store: VoxelStore) -> Iterator[tuple[str, str]]:
    """Yields slice key and text of each row that has a text.

    Args:
        path: A ``.csv``, ``.tsv`` or ``.parquet`` file.
        store: The prepared volumes; where rows name no crop, the volumes must be cubes.

    Raises:
        InputError: The file is missing, no such table, lacks a column, or names a plane or a number that is none.
    """
    for number, row in enumerate(table_rows(path), start=2):
        text_column = next((name for name in TEXT_COLUMNS if name in row), None)
        if text_column is None:
            raise InputError(f"{path} has no column called text", _COLUMNS_HINT)
        text = str(row[text_column] or "").strip()
        if text:
            yield _key(path, number, row, store), text


def texts_to_import(path: Path | None, ledger: CaptionStore, store: VoxelStore) -> dict[str, str]:
    """Returns the texts of a file by slice key.

    Raises:
        ConfigError: No file is named.
        InputError: It is no such table, or says nothing about any slice of the ledger.
    """
    if path is None:
        raise ConfigError("there is no file to import texts from", "give it by --import FILE")
    texts = dict(read_texts(path, store))
    if not any(ref.key in texts for ref in ledger.each_slice()):
        raise InputError(
            f"none of the texts of {path} ({len(texts)} in all) is about a slice of this workspace",
            "compare it with captions/template/captions.parquet, which `caption --captioner template` writes",
        )
    return texts


def _key(path: Path, number: int, row: Mapping[str, Any], store: VoxelStore) -> str:
    if row.get("key"):
        return str(row["key"])
    try:
        case, plane = str(row["case"]), Plane[str(row["plane"]).strip().upper()]
        index = int(row["index"])
        if row.get("size") not in (None, ""):
            crop = Crop(case, (int(row["x"]), int(row["y"]), int(row["z"])), int(row["size"]))
        elif case not in store.cases:
            return ""  # a case that is not prepared: no slice of the table is meant
        else:
            crop = Crop(case, (0, 0, 0), _edge(case, store))
    except KeyError as error:
        raise InputError(f"{path}, line {number}: no column or plane called {error}", _COLUMNS_HINT) from None
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}, line {number}: {error}", _COLUMNS_HINT) from None
    return SliceRef(crop, plane, index).key


def _edge(case: str, store: VoxelStore) -> int:
    shape = store.cases[case].shape
    if len(set(shape)) != 1:
        raise ValueError(f"volume {case} is not a cube, so that the crop must be named by x, y, z and size")
    return shape[0]


def table_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """Yields the rows of a ``.csv``, ``.tsv`` or ``.parquet`` file, ``{column: value}``.

    Raises:
        InputError: It is missing, no such file, or not readable.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".tsv", ".parquet"):
        raise InputError(f"{path} is no table that is known", "give a .csv, .tsv or .parquet file")
    try:
        yield from _parquet(path) if suffix == ".parquet" else _csv(path, "\t" if suffix == ".tsv" else ",")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read: {error}", "check the path; a CSV must be in UTF-8") from None


def _csv(path: Path, delimiter: str) -> Iterator[Mapping[str, Any]]:
    with path.open(newline="", encoding="utf-8-sig") as handle:
        rows = csv.DictReader(handle, delimiter=delimiter)
        while True:
            # A text of a megabyte is flagged later, and no reason to stop; the limit is the whole process's.
            usual = csv.field_size_limit(_LONGEST_FIELD)
            try:
                row = next(rows, None)
            finally:
                csv.field_size_limit(usual)
            if row is None:
                return
            yield row


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                yield from batch.to_pylist()
    except pyarrow.ArrowException as error:
        raise InputError(f"{path} is no Parquet file: {error}", "write it again, or give a CSV") from None
