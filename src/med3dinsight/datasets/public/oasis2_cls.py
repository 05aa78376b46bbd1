"""OASIS-2, Alzheimer's disease against normal: ``OAS2_RAW_PART1/OAS2_0001_MR1/RAW/mpr-1.nifti.hdr`` and ``.img``.

150 people with two to five sessions each (373), three or four T1 acquisitions a session, Analyze pairs. One scan a
session is listed: its first acquisition that is whole. Classes come from the longitudinal table (columns ``MRI ID`` and
``Group``), an Excel or CSV file anywhere in the folder: Nondemented is ``NC``, Demented is ``AD``. **Converted** people
(14; no dementia at first, dementia later) get no class at any session: neither holds for the person, and a person must
not have two. They stay in the list for pre-training.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError
from ...records import LeftOut, Source
from ..layout import Facts, Layout
from ..naming import compile_subject_pattern, subject_of
from . import published, tree
from .rows import read_rows

GROUPS = {"Nondemented": "NC", "Demented": "AD", "Converted": ""}
NUM_PEOPLE, NUM_SESSIONS = 150, 373
_TITLE = "OASIS-2"
_HINT = "lay the longitudinal table of its page (oasis_longitudinal_demographics.xlsx, or as CSV) into the folder"


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists one scan a session, with the class of its person."""
    pattern = compile_subject_pattern(subject_pattern)
    groups, problems = _groups(directory)
    whole: dict[str, Path] = {}
    broken: dict[str, Path] = {}
    homes: dict[str, Path] = {}
    copies: dict[Path, str] = {}
    name = r"(?P<key>OAS2_\d{4}_MR\d+)/(?:RAW/)?mpr-\d+(?:\.nifti)?\.(?:hdr|img)"
    for match, path in tree.files(directory, name):
        home = homes.setdefault(match["key"], path.parent)
        if path.parent != home:
            copies[path.parent] = f"session {match['key']} is there twice: {home} was taken"
            continue
        twin = path.with_suffix(".img" if path.suffix == ".hdr" else ".hdr")
        if not twin.exists():
            broken.setdefault(match["key"], path)
        elif path.suffix == ".hdr":
            whole.setdefault(match["key"], path)
    if not whole and not broken:
        raise tree.nothing_found(directory, _TITLE, "OAS2_RAW_PART1/OAS2_0001_MR1/RAW/mpr-1.nifti.hdr")
    hint = "keep one copy of each session in the folder"
    problems += [LeftOut(str(folder), reason, hint) for folder, reason in copies.items()]
    for key in sorted(broken.keys() - whole.keys()):
        reason = f"session {key} has no whole pair of .hdr and .img"
        problems.append(LeftOut(str(broken[key]), reason, "unpack the archive again"))
    sources = [
        Source(
            id=key,
            subject=subject_of(path.relative_to(directory).as_posix(), pattern, key[: len("OAS2_0000")]),
            image=str(path),
            modality="mr",
            class_label=GROUPS.get(groups.get(key, ""), ""),
        )
        for key, path in sorted(whole.items())
    ]
    return sources, problems


def _groups(directory: Path) -> tuple[dict[str, str], list[LeftOut]]:
    """Returns ``{session: group}`` of the first table that has them, and the tables that cannot be read."""
    problems: list[LeftOut] = []
    for _, path in tree.files(directory, r"[^/]*\.(?:csv|xlsx)"):
        try:
            rows = read_rows(path)
        except InputError as error:
            problems.append(LeftOut(str(path), error.message, error.hint))
            continue
        if rows and {"MRI ID", "Group"} <= rows[0].keys():
            return {row["MRI ID"]: row["Group"] for row in rows if row["MRI ID"]}, []
    return {}, problems


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells what is missing of the sessions and of the table, and how many people have no class and why."""
    groups, _ = _groups(directory)
    rows = published.short_of(directory, "people", len({source.id[:9] for source in sources}), NUM_PEOPLE)
    rows += published.short_of(directory, "sessions", len(sources), NUM_SESSIONS)
    if not groups:
        rows.append(LeftOut(str(directory), "no longitudinal table: no scan has a class", _HINT))
        return rows
    there = {source.id for source in sources}
    if absent := sorted(groups.keys() - there):
        reason = f"{len(absent)} sessions of the table are not there: {published.listed(absent)}"
        rows.append(LeftOut(str(directory), reason, "download the other part"))
    if untold := sorted(there - groups.keys()):
        reason = f"{len(untold)} sessions are not in the table and get no class: {published.listed(untold)}"
        rows.append(LeftOut(str(directory), reason, _HINT))
    if odd := sorted(set(groups.values()) - GROUPS.keys()):
        reason = f"the table has groups that were never published: {published.listed(odd)}"
        rows.append(LeftOut(str(directory), reason, f"the groups are {', '.join(GROUPS)}"))
    if converted := sorted({key[:9] for key in there if groups.get(key) == "Converted"}):
        reason = f"{len(converted)} converted people get no class: {published.listed(converted)}"
        rows.append(LeftOut(str(directory), reason, "as intended; give classes of your own by a table to differ"))
    return rows


LAYOUT = Layout(
    description="OASIS-2: OAS2_RAW_PART1/OAS2_0001_MR1/RAW/mpr-1.nifti.hdr and .img, longitudinal table",
    find=find,
    recognises=lambda directory: tree.shows(directory, r"/OAS2_\d{4}_MR\d+/"),
    oddities=oddities,
    facts=Facts(
        title=_TITLE,
        modality="MR, T1-weighted, brain",
        licence="OASIS data use agreement",
        citation="Marcus et al., Open Access Series of Imaging Studies: Longitudinal MRI data in nondemented and "
        "demented older adults, Journal of Cognitive Neuroscience 22, 2010, doi:10.1162/jocn.2009.21407",
        url="https://sites.wustl.edu/oasisbrains/home/oasis-2/",
        third_parties="unknown",
        gated=True,
        classes=(),
        note="Classes of whole scans: AD and NC; converted people have none. Several sessions a person: a split by "
        "scan would leak. Whether the agreement allows services of others could not be confirmed.",
    ),
)
