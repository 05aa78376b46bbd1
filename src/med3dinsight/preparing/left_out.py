"""``left_out.csv``: the files that could not be used, with reason and hint, as a table that a spreadsheet opens."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError, Med3DInsightError
from ..records import LeftOut
from ..workspace.files import write_bytes

NAME = "left_out.csv"


def write_left_out(folder: Path, left_out: Sequence[LeftOut]) -> None:
    """Writes the table; it has a head and no rows where every file could be used.

    Args:
        folder: The workspace's ``prepared`` folder.
        left_out: The files.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "reason", "hint"])
    writer.writerows([item.file, item.reason, item.hint] for item in left_out)
    write_bytes(folder / NAME, text.getvalue().encode("utf-8", errors="surrogateescape"))


def nothing_prepared(source: str, problems: Sequence[LeftOut], unexpected: int) -> Med3DInsightError:
    """Returns the error to raise where no scan could be used.

    Args:
        source: The source folder.
        problems: Why not.
        unexpected: How many of these are no fault of the scans.
    """
    if not problems:
        return InputError(f"no scan was found in {source}", "give a folder of NIfTI, NRRD, MHA or DICOM files")
    first, more = problems[0], len(problems) - 1
    others = f" ({more} more file{'s' if more > 1 else ''} left out)" if more else ""
    kind = Med3DInsightError if unexpected == len(problems) else InputError
    return kind(f"nothing could be prepared: {first.file}: {first.reason}{others}", first.hint)
