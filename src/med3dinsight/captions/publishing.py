"""Publishing a captioner's texts: one Parquet file and a data card that says what it holds.

The ledger is made for being written at any moment; the Parquet file is made for being read and passed on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..records import Case
from ..workspace.caption_store import CaptionStore
from ..workspace.files import replacing, write_bytes
from .config import CaptionConfig
from .registry import find_captioners
from .wording import counted

TABLE, CARD = "captions.parquet", "README.md"
_ROW_GROUP = 16_384
COLUMNS = {
    "key": "the slice's name in the workspace",
    "case": "the prepared volume",
    "plane": "axial, coronal or sagittal",
    "index": "voxel index along the plane's axis inside the crop",
    "x": "first voxel of the crop along x (RAS+)",
    "y": "the same along y",
    "z": "the same along z",
    "size": "edge of the crop in voxels",
    "modality": "ct or mr",
    "text": "the text; empty where there is none",
    "flags": "what was noticed about the text, words parted by blanks; `quarantined`: no answer could be read",
}


def publish(config: CaptionConfig, folder: Path, ledger: CaptionStore, cases: dict[str, Case]) -> Path:
    """Writes ``captions.parquet`` and ``README.md`` into a captioner's folder.

    Args:
        config: What the texts were asked for with.
        folder: The captioner's folder.
        ledger: Holds the texts.
        cases: The prepared volumes by id.

    Returns:
        The Parquet file, sorted as the slice table, with the columns of :data:`COLUMNS`.

    Raises:
        DiskFullError: The disk is full.
    """
    import pyarrow
    from pyarrow import parquet

    numbers = {"index", "x", "y", "z", "size"}
    schema = pyarrow.schema([(name, pyarrow.int32() if name in numbers else pyarrow.string()) for name in COLUMNS])
    counts: Counter[str] = Counter()
    with replacing(folder / TABLE) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for rows in _groups(_counted(_rows(config.kept_as, ledger, cases), counts)):
            writer.write_table(pyarrow.Table.from_pylist(rows, schema=schema))
    write_bytes(folder / CARD, _card(config, counts, cases).encode())
    return folder / TABLE


def _rows(name: str, ledger: CaptionStore, cases: dict[str, Case]) -> Iterator[dict[str, Any]]:
    for ref, text, flags in ledger.written(name):
        x, y, z = ref.crop.origin
        yield {
            "key": ref.key,
            "case": ref.crop.case,
            "plane": ref.plane.name.lower(),
            "index": ref.index,
            "x": x,
            "y": y,
            "z": z,
            "size": ref.crop.size,
            "modality": cases[ref.crop.case].modality,
            "text": text,
            "flags": " ".join(flags),
        }


def _counted(rows: Iterable[dict[str, Any]], counts: Counter[str]) -> Iterator[dict[str, Any]]:
    for row in rows:
        counts["slices"] += 1
        counts["texts"] += bool(row["text"])
        counts.update(f"flag {flag}" for flag in row["flags"].split())
        yield row


def _groups(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for row in rows:
        group.append(row)
        if len(group) == _ROW_GROUP:
            yield group
            group = []
    yield group


def _card(config: CaptionConfig, counts: Counter[str], cases: dict[str, Case]) -> str:
    entry = find_captioners()[config.captioner]
    origins = Counter((case.origin or "not stated", case.licence or "not stated") for case in cases.values())
    settings = config.identity()
    flags = [f"- {name[5:]}: {count}" for name, count in sorted(counts.items()) if name.startswith("flag ")]
    lines = [
        f"# Captions of slices by `{config.kept_as}`",
        "",
        " of ".join(
            [counted(counts["texts"], "text"), counted(counts["slices"], "slice"), counted(len(cases), "volume")]
        )
        + ".",
        "",
        f"- Who wrote: `{config.captioner}`, {entry.kind} ({entry.source}).",
        "- Nobody has checked the texts one by one; `caption-audit` says how far they agree with headers and labels.",
        "- No text is a diagnosis, and none should be used as one.",
        "- The ids of volumes come from the names of the source files: look at them before you pass this on.",
        "",
        "## Scans",
        "",
        *(
            f"- {counted(count, 'volume')}: {origin}; licence: {licence}"
            for (origin, licence), count in sorted(origins.items())
        ),
        "",
        "The texts are derived from these scans; their terms hold for them too.",
        "",
        "## Flags",
        "",
        *(flags or ["None."]),
        "",
        "## Columns of captions.parquet",
        "",
        *(f"- `{name}`: {meaning}" for name, meaning in COLUMNS.items()),
        "",
        "## Settings",
        "",
        *(f"- `{name}` = {value!r}" for name, value in settings.items()),
    ]
    return "\n".join(lines) + "\n"
