"""BIMCV-R, CT with reports: ``CT*/ct/sub-S03825_ses-E07697_run-2_bp-chest_ct.nii.gz`` and a table of reports.

The table, ``meta/curated_ct_report_path_En.csv``, has a column ``path`` whose last part is the name of a volume and a
column ``Report_en`` with the report in English. Layout and columns are those that the authors' own loader reads; how
the archives unpack in other releases could not be confirmed, so that volumes and tables are looked for at any depth.
"""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError
from ...records import LeftOut, Source
from ..layout import Facts, Layout
from ..naming import compile_subject_pattern, subject_of
from . import pairing, published, tree
from .rows import read_rows

NUM_VOLUMES, NUM_PATIENTS = 8069, 5340
_TITLE = "BIMCV-R"
_NAME = r"(?P<key>(?P<person>sub-S\d+)_ses-E\d+[^/]*_ct)\.nii\.gz"


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the volumes of BIMCV-R that are there, each with its report."""
    pattern = compile_subject_pattern(subject_pattern)
    found = tree.files(directory, _NAME)
    if not found:
        raise tree.nothing_found(directory, _TITLE, "sub-S03825_ses-E07697_run-2_bp-chest_ct.nii.gz")
    people = {match["key"]: match["person"] for match, _ in found}
    volumes, problems = pairing.by_key(found, lambda match: match["key"])
    reports, unread = _reports(directory)
    sources = [
        Source(
            id=key,
            subject=subject_of(path.relative_to(directory).as_posix(), pattern, people[key]),
            image=str(path),
            modality="ct",
            report=reports.get(path.name, ""),
        )
        for key, path in sorted(volumes.items())
    ]
    return sources, problems + unread


def _reports(directory: Path) -> tuple[dict[str, str], list[LeftOut]]:
    reports: dict[str, str] = {}
    problems: list[LeftOut] = []
    for _, path in tree.files(directory, r"[^/]*report[^/]*\.csv"):
        try:
            rows = read_rows(path)
        except InputError as error:
            problems.append(LeftOut(str(path), error.message, error.hint))
            continue
        for row in rows:
            if row.get("path") and row.get("Report_en"):
                reports.setdefault(row["path"].replace("\\", "/").rpartition("/")[2], row["Report_en"])
    return reports, problems


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells how much of the set is there, and which volumes have no report."""
    rows = published.short_of(directory, "volumes", len(sources), NUM_VOLUMES)
    if silent := [source.id for source in sources if not source.report]:
        reason = f"{len(silent)} volumes without a report: {published.listed(silent)}"
        rows.append(LeftOut(str(directory), reason, "lay curated_ct_report_path_En.csv into the folder"))
    return rows


LAYOUT = Layout(
    description="BIMCV-R: CT*/ct/sub-S03825_ses-E07697_run-2_bp-chest_ct.nii.gz, meta/curated_ct_report_path_En.csv",
    find=find,
    recognises=lambda directory: tree.shows(directory, rf"/{_NAME}$"),
    oddities=oddities,
    facts=Facts(
        title=_TITLE,
        modality="CT, mostly chest",
        licence="terms of access of its page; built on data of the Valencian Region Medical ImageBank",
        citation="Chen et al., BIMCV-R: A Landmark Dataset for 3D CT Text-Image Retrieval, MICCAI, 2024, "
        "arXiv 2403.15992",
        url="https://huggingface.co/datasets/cyd0806/BIMCV-R",
        third_parties="forbidden",
        gated=True,
        classes=(),
        note="Built from BIMCV-COVID19: the same people. Reports were translated from Spanish.",
    ),
)
