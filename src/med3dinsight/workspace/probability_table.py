"""Class probabilities of scans as a CSV file: what ``predict`` writes, and what a run keeps of its test cases."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import WorkspaceError
from .files import write_bytes

PREFIX = "probability_"
PREDICTED = "predicted"
_OF_A_CASE = ("case", "subject", "label")


@dataclass(frozen=True)
class ProbabilityRow:
    """One scan.

    Attributes:
        image: Path of the scan.
        probabilities: One a class; they sum to 1.
        case, subject, label: Of a prepared case with a known class; empty for a scan that is in no workspace.
    """

    image: str
    probabilities: tuple[float, ...]
    case: str = ""
    subject: str = ""
    label: str = ""


def write_probabilities(
    path: Path, classes: Sequence[str], rows: Iterable[ProbabilityRow], *, of_cases: bool = False
) -> None:
    """Writes a CSV file, whole or not at all: ``image``, ``probability_CLASS`` for each class, ``predicted``.

    Args:
        path: The file.
        classes: Names of the classes in the order of the probabilities.
        rows: What is written; ``predicted`` is the most probable class, of equals the first.
        of_cases: Write the columns ``case``, ``subject`` and ``label`` as well.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    own = _OF_A_CASE if of_cases else ()
    writer.writerow(("image", *own, *(PREFIX + name for name in classes), PREDICTED))
    for row in rows:
        best = classes[max(range(len(classes)), key=row.probabilities.__getitem__)]
        cells = (row.case, row.subject, row.label) if of_cases else ()
        writer.writerow((row.image, *cells, *map(repr, row.probabilities), best))
    write_bytes(path, text.getvalue().encode())


def read_probabilities(path: Path, classes: Sequence[str]) -> list[ProbabilityRow]:
    """Reads the rows of a file that :func:`write_probabilities` wrote.

    Raises:
        WorkspaceError: It is missing or damaged, or is about other classes.
    """
    hint = "run that `finetune` again"
    try:
        with path.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
        found = [
            ProbabilityRow(
                row["image"],
                tuple(float(row[PREFIX + name]) for name in classes),
                *(row.get(name, "") for name in _OF_A_CASE),
            )
            for row in rows
        ]
    except FileNotFoundError:
        raise WorkspaceError(f"no predictions at {path}", hint) from None
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        raise WorkspaceError(f"{path} is no table of these classes' probabilities: {error!r}", hint) from None
    if not all(math.isfinite(value) for row in found for value in row.probabilities):
        raise WorkspaceError(f"{path} holds a probability that is no number", hint)
    return found
