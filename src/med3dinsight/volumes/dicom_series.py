"""Which DICOM series a folder holds: scans, localizers, single slices, and what cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import InputError, suggest
from .dicom_files import read_headers
from .dicom_records import DicomFile
from .dicom_stacks import Stack, split

What = Literal["volume", "localizer", "one slice", "no image", "unreadable"]
_SPLIT_HINT = "remove it from the folder or export the series again"
_SHOWN = 12


@dataclass(frozen=True)
class DicomSeries:
    """One series of a folder, or one stack of a series that holds several.

    Attributes:
        uid: SeriesInstanceUID, with ``/1``, ``/2`` ... behind it where one series holds several stacks (other
            orientations, echoes, time points); empty for a file that says none.
        files: Its files, in order of position where it is a stack.
        modality: As the files say it: "CT", "MR", "PT" ...
        description: SeriesDescription, and what tells the stack from the others of its series.
        what: "volume" (two slices or more), "localizer", "one slice", "no image" (a report, a structure set),
            or "unreadable".
        num_slices: Number of planes.
        reason: Why it is unreadable or no image.
        hint: What to do about that.
        patient: The same for all series of one PatientID, and no more can be learned from it; empty without one.
    """

    uid: str
    files: tuple[Path, ...]
    modality: str
    description: str
    what: What = "volume"
    num_slices: int = 0
    reason: str = ""
    hint: str = ""
    patient: str = ""


@dataclass(frozen=True)
class Entry:
    """A series with what is needed to read it.

    Attributes:
        series: What is told of it.
        files: The headers of its files.
        stack: Its planes; None where it cannot be read.
        alone: The stack is all of its series.
    """

    series: DicomSeries
    files: tuple[DicomFile, ...]
    stack: Stack | None = None
    alone: bool = True


def find_series(place: Path) -> list[Entry]:
    """Lists the series of a folder (of the files directly in it), or of one file, sorted by UID."""
    by_uid: dict[str, list[DicomFile]] = {}
    entries: list[Entry] = []
    for file in read_headers(place):
        if file.problem and not (file.series and file.image):
            what: What = "unreadable" if file.image else "no image"
            entries.append(Entry(_describe([file], what, reason=f"{file.path.name} {file.problem}"), (file,)))
        else:
            by_uid.setdefault(file.series, []).append(file)
    for files in by_uid.values():
        entries += _stacks(place.name, files)
    return sorted(entries, key=lambda entry: _order(entry.series))


def choose(entries: Sequence[Entry], uid: str, name: str) -> Entry:
    """Returns the entry of a UID; without one, the only scan there is.

    Raises:
        InputError: There is no such series, none at all, or several and none was named; the message lists them.
    """
    if uid:
        for entry in entries:
            if entry.series.uid == uid:
                return entry
        parts = [entry for entry in entries if entry.series.uid.startswith(uid + "/")]
        if parts:
            raise InputError(f"series {uid} of {name} holds {len(parts)} stacks: {_listed(parts)}", "name one of them")
        known = sorted({entry.series.uid for entry in entries if entry.series.uid})
        raise InputError(f"{name} holds no series {uid}", suggest(uid, known[:_SHOWN]) if known else "check the folder")
    for entry in entries:
        if entry.series.what == "unreadable":
            return entry
    scans = [entry for entry in entries if entry.series.what in ("volume", "one slice")]
    if not scans:
        scans = [entry for entry in entries if entry.series.what == "localizer"]
    if len(scans) > 1:
        raise InputError(f"{name} holds {len(scans)} DICOM series: {_listed(scans)}", "name the series to be read")
    if not scans:
        reason = next((f": {entry.series.reason}" for entry in entries), "")
        raise InputError(f"{name} holds 0 DICOM slices{reason}", "give the folder of one whole series")
    return scans[0]


def _stacks(name: str, files: Sequence[DicomFile]) -> list[Entry]:
    broken = next((file for file in files if file.problem), None)
    if broken:
        return [Entry(_describe(files, "unreadable", reason=f"{broken.path.name} {broken.problem}"), tuple(files))]
    try:
        stacks = split([plane for file in files for plane in file.planes], name)
    except InputError as error:
        return [Entry(_describe(files, "unreadable", reason=error.message, hint=error.hint), tuple(files))]
    by_path = {file.path: file for file in files}
    alone = sum(not stack.localizer for stack in stacks) <= 1
    entries = []
    for number, stack in enumerate(stacks, start=1):
        own = tuple(by_path[path] for path in dict.fromkeys(plane.path for plane in stack.planes))
        what: What = "localizer" if stack.localizer else "volume" if len(stack.planes) > 1 else "one slice"
        suffix = f"/{number}" if len(stacks) > 1 else ""
        series = _describe(own, what, suffix, stack.what, num_slices=len(stack.planes))
        entries.append(Entry(series, own, stack, alone))
    return entries


def _describe(
    files: Sequence[DicomFile],
    what: What,
    suffix: str = "",
    part: str = "",
    num_slices: int = 0,
    reason: str = "",
    hint: str = "",
) -> DicomSeries:
    first = files[0]
    return DicomSeries(
        uid=first.series + suffix,
        files=tuple(file.path for file in files),
        modality=first.modality,
        description=" · ".join(text for text in (first.description, part) if text),
        what=what,
        num_slices=num_slices,
        reason=reason,
        hint=hint or (_SPLIT_HINT if reason else ""),
        patient=first.patient,
    )


def _order(series: DicomSeries) -> tuple[str, int, str]:
    uid, _, number = series.uid.partition("/")
    return uid, int(number or 0), series.files[0].name


def _listed(entries: Sequence[Entry]) -> str:
    rows = []
    for entry in entries[:_SHOWN]:
        series = entry.series
        facts = [series.modality or "?", f"{series.num_slices} slices", series.description]
        rows.append(f"{series.uid or '(no UID)'} ({', '.join(fact for fact in facts if fact)})")
    more = len(entries) - len(rows)
    return "; ".join(rows) + (f"; and {more} more" if more else "")
