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
#: Stands for the UID of files that say none: as no UID has letters, it can be named like one.
NO_UID = "no-uid"


@dataclass(frozen=True)
class DicomSeries:
    """One series of a folder, or one stack of a series that holds several.

    Attributes:
        uid: SeriesInstanceUID, with ``/1``, ``/2`` ... behind it where one series holds several stacks (other
            orientations, echoes, time points); "no-uid" for all files together that say none; empty for a file that
            cannot be read so far.
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
            entries.append(_broken([file], file.series, f"{file.path.name} {file.problem}", what=what))
        else:
            by_uid.setdefault(file.series or NO_UID, []).append(file)
    for uid, files in by_uid.items():
        entries += _stacks(place.name, uid, files)
    return sorted(entries, key=lambda entry: _order(entry.series))


def choose(entries: Sequence[Entry], uid: str, name: str) -> Entry:
    """Returns the entry of a UID; without one, the only scan there is.

    Raises:
        InputError: There is no such series, none at all, or several and none was named; the message lists them.
    """
    if uid:
        for entry in entries:
            # Without a UID, a file that cannot be read may be a slice of this series.
            astray = uid.partition("/")[0] == NO_UID and entry.series.what == "unreadable" and not entry.series.uid
            if entry.series.uid == uid or astray:
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


def _stacks(name: str, uid: str, files: Sequence[DicomFile]) -> list[Entry]:
    broken = next((file for file in files if file.problem), None)
    if broken:
        return [_broken(files, uid, f"{broken.path.name} {broken.problem}")]
    try:
        stacks = split([plane for file in files for plane in file.planes], name)
    except InputError as error:
        return [_broken(files, uid, error.message, error.hint)]
    by_path = {file.path: file for file in files}
    alone = sum(not stack.localizer for stack in stacks) <= 1
    entries = []
    for number, stack in enumerate(stacks, start=1):
        own = tuple(by_path[path] for path in dict.fromkeys(plane.path for plane in stack.planes))
        what: What = "localizer" if stack.localizer else "volume" if len(stack.planes) > 1 else "one slice"
        full = f"{uid}/{number}" if len(stacks) > 1 else uid
        description = " · ".join(text for text in (own[0].description, stack.what) if text)
        facts = (own[0].modality, description, what, len(stack.planes))
        series = DicomSeries(full, _paths(own), *facts, patient=own[0].patient)
        entries.append(Entry(series, own, stack, alone))
    return entries


def _broken(files: Sequence[DicomFile], uid: str, reason: str, hint: str = "", what: What = "unreadable") -> Entry:
    first, hint = files[0], hint or _SPLIT_HINT
    told = DicomSeries(uid, _paths(files), first.modality, first.description, what, 0, reason, hint, first.patient)
    return Entry(told, tuple(files))


def _paths(files: Sequence[DicomFile]) -> tuple[Path, ...]:
    return tuple(file.path for file in files)


def _order(series: DicomSeries) -> tuple[str, int, str]:
    uid, _, number = series.uid.partition("/")
    return uid, int(number or 0), series.files[0].name


def _listed(entries: Sequence[Entry]) -> str:
    rows = []
    for entry in entries[:_SHOWN]:
        series = entry.series
        facts = [series.modality or "?", f"{series.num_slices} slices", series.description]
        rows.append(f"{series.uid} ({', '.join(fact for fact in facts if fact)})")
    more = len(entries) - len(rows)
    return "; ".join(rows) + (f"; and {more} more" if more else "")
