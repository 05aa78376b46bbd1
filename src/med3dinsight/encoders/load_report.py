"""What became of every tensor of a file, and of every tensor of the encoder: a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Status = Literal["loaded", "renamed", "skipped", "missing"]
STATUSES: tuple[Status, ...] = ("loaded", "renamed", "skipped", "missing")
#: Rows of a status that the table shows before it only counts; what did not load is shown at more length.
SHOWN = {"loaded": 5, "renamed": 5, "skipped": 40, "missing": 40}


@dataclass(frozen=True)
class WeightRow:
    """One tensor.

    Attributes:
        status: "loaded" under its own name; "renamed": loaded under another name; "skipped": in the file and not
            used; "missing": in the encoder and not filled.
        name: The encoder's name of it; None where it has none.
        file_name: The file's name of it; None where it has none.
        shape: The encoder's shape.
        file_shape: The file's shape.
        note: What was done to it, or why it was skipped.
    """

    status: Status
    name: str | None
    file_name: str | None
    shape: tuple[int, ...] | None
    file_shape: tuple[int, ...] | None
    note: str = ""


@dataclass(frozen=True)
class LoadReport:
    """What was loaded.

    Attributes:
        file: Where the weights come from.
        rows: One for every tensor of the file and of the encoder.
        share: Share of the encoder's parameters that were loaded, 0..1.
        notes: How the file was read: container, prefix, layout.
        warnings: What may be wrong although everything fits.
    """

    file: str
    rows: tuple[WeightRow, ...]
    share: float
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def of(self, status: Status) -> tuple[WeightRow, ...]:
        """Returns the rows of one status."""
        return tuple(row for row in self.rows if row.status == status)

    @property
    def complete(self) -> bool:
        """Whether every tensor of the file was used and every one of the encoder filled."""
        return not self.of("skipped") and not self.of("missing")

    @property
    def exact(self) -> bool:
        """Whether moreover every tensor kept its name and shape, and nothing is doubtful."""
        adapted = any(row.note for row in self.of("loaded"))
        return self.complete and not self.of("renamed") and not adapted and not self.warnings

    def summary(self) -> str:
        """Returns one line: how much of the encoder was loaded, and how many tensors of each kind there are."""
        counts = ", ".join(f"{len(self.of(status))} {status}" for status in STATUSES)
        return f"{100 * self.share:.1f} % of the encoder's parameters; tensors: {counts}"

    def head(self, rows: int = 3) -> str:
        """Returns one line: the summary and the first tensors that did not find their place."""
        parts = [self.summary()]
        for status in ("skipped", "missing"):
            some = [f"{row.file_name or row.name} ({_by(row.file_shape or row.shape)})" for row in self.of(status)]
            if some:
                parts.append(f"first {status}: {', '.join(some[:rows])}")
        return "; ".join(parts)

    def table(self) -> list[str]:
        """Returns the table as lines of text, the shapes right-aligned; long runs of a status are only counted."""
        cells: list[Sequence[str]] = [("", "encoder", "shape", "file", "shape in file", "")]
        counted: dict[int, str] = {}
        for status in STATUSES:
            rows = self.of(status)
            for row in rows[: SHOWN[status]]:
                shapes = _by(row.shape), _by(row.file_shape)
                cells.append((status, row.name or "-", shapes[0], row.file_name or "-", shapes[1], row.note))
            if len(rows) > SHOWN[status]:
                counted[len(cells) - 1] = f"{status}  ... and {len(rows) - SHOWN[status]} more"
        widths = [max(len(cell[column]) for cell in cells) for column in range(5)]
        lines = []
        for number, (state, name, shape, file_name, file_shape, note) in enumerate(cells):
            left = f"{state:{widths[0]}}  {name:{widths[1]}}  {shape:>{widths[2]}}"
            lines.append(f"{left}  {file_name:{widths[3]}}  {file_shape:>{widths[4]}}  {note}".rstrip())
            if number in counted:
                lines.append(counted[number])
        return lines

    def as_json(self) -> dict[str, Any]:
        """Returns ``file``, a list of rows for each status, ``share``, ``notes`` and ``warnings``."""
        return {
            "file": self.file,
            "loaded": [_row(row) for row in self.of("loaded")],
            "renamed": [_row(row) for row in self.of("renamed")],
            "skipped": [_row(row) for row in self.of("skipped")],
            "missing": [_row(row) for row in self.of("missing")],
            "share": self.share,
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }


def _row(row: WeightRow) -> dict[str, Any]:
    plain = asdict(row)
    del plain["status"]
    return plain


def _by(shape: tuple[int, ...] | None) -> str:
    if shape is None:
        return "-"
    return " x ".join(map(str, shape)) if shape else "scalar"
