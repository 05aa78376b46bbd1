"""The captioner ``report``: radiology reports as texts, from a table or from what the data set has beside its scans.

A report is about a whole scan and does not say which sentence is about which slice. Each slice gets one sentence, all
about equally often, or the beginning of the report; in front of it, where asked for, another captioner's text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePath

from ..errors import InputError
from ..records import Case, SliceRef
from ..workspace.caption_store import Written
from .asking.flags import flags_of
from .asking.length import shortened
from .config import CaptionConfig
from .importing import table_rows
from .report_sentences import beginning, fitted, split_sentences

#: Flag of a slice of a scan without a report.
NO_REPORT = "no-report"
#: Columns that say which scan a row is about, the first that is filled counts.
NAMES = ("case", "image", "subject")
_HINT = "it needs a column report, and subject, case or image"


def reports_of(config: CaptionConfig, cases: Mapping[str, Case]) -> dict[str, str]:
    """Returns the reports of the prepared scans, ``{case: report}``.

    Args:
        config: ``reports`` names a table; without one, the reports that the data set itself brought are taken.
        cases: All prepared cases by id.

    Raises:
        InputError: The table is none, lacks a column, is unclear about a scan or about none of them; or no scan has
            a report.
    """
    if config.reports is None:
        found = {name: _own(case) for name, case in cases.items() if case.report}
        if not found:
            raise InputError("no prepared scan has a report", "give a table by --set caption.reports=FILE")
        return found
    found = {}
    for number, row in enumerate(table_rows(config.reports), start=2):
        if "report" not in row or not any(name in row for name in NAMES):
            raise InputError(f"{config.reports} has no such columns", _HINT)
        report = str(row["report"] or "").strip()
        for case in _meant(config.reports, number, row, cases.values()) if report else []:
            if found.setdefault(case, report) != report:
                raise InputError(
                    f"{config.reports}, line {number}: a second report about {case}",
                    "join them into one row, or name the scan of each by case or image",
                )
    if not found:
        raise InputError(f"{config.reports} has no report about a prepared scan", "compare its names with `status`")
    return found


def _own(case: Case) -> str:
    if not case.report.lower().endswith(".txt") or "\n" in case.report:
        return case.report
    try:
        return Path(case.report).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the report {case.report} of {case.id} cannot be read: {error}", "check the file") from None


def _meant(path: Path, number: int, row: Mapping[str, object], cases: Iterable[Case]) -> list[str]:
    column = next((name for name in NAMES if str(row.get(name) or "").strip()), None)
    if column is None:
        raise InputError(f"{path}, line {number}: no scan is named", _HINT)
    value = str(row[column]).strip()
    tests: dict[str, Callable[[Case], bool]] = {
        "case": lambda case: case.id == value,
        "subject": lambda case: case.subject == value,
        "image": lambda case: _ends_with(case.image, value),
    }
    meant = [case.id for case in cases if tests[column](case)]
    if column == "image" and len(meant) > 1:
        raise InputError(
            f"{path}, line {number}: {value} may be {meant[0]} or {meant[1]}",
            "write more of the path, or name the case",
        )
    return meant


def _ends_with(path: str, end: str) -> bool:
    parts = PurePath(end).parts
    return bool(parts) and PurePath(path).parts[-len(parts) :] == parts


class ReportDealer:
    """Gives slices the texts of their scans' reports.

    Args:
        config: Length and kind of the texts.
        reports: ``{case: report}``.
        before: ``{slice key: text}`` of the captioner whose texts stand in front; empty for none.
    """

    def __init__(self, config: CaptionConfig, reports: Mapping[str, str], before: Mapping[str, str]) -> None:
        self._seed, self._before = config.seed, before
        least, most = config.report_least_words, config.report_words
        self._pieces: dict[str, list[str]] = {}
        for case, report in reports.items():
            pieces = fitted(split_sentences(report), least, most)
            if pieces:
                self._pieces[case] = pieces if config.report_text == "sentence" else [beginning(pieces, most)]

    def write(self, ref: SliceRef) -> Written:
        """Returns a slice's text; the same slice gets the same sentence whatever other slices there are."""
        pieces, before = self._pieces.get(ref.crop.case), self._before.get(ref.key, "")
        if not pieces:
            return Written(ref.key, before, (NO_REPORT,))
        lot = hashlib.blake2b(f"{self._seed}:{ref.key}".encode(), digest_size=8).digest()
        piece = pieces[int.from_bytes(lot, "big") % len(pieces)]
        return Written(ref.key, shortened(f"{before} {piece}".strip()), flags_of(piece))
