"""CT-RATE, chest CT with reports: ``dataset/train/train_1/train_1_a/train_1_a_1.nii.gz`` and its tables.

A name tells split, patient (1), scan (a) and reconstruction (1); a patient is a subject. ``train_fixed`` and
``valid_fixed`` hold the same volumes with corrected headers and are preferred. Reports are in
``radiology_text_reports/{train,validation}_reports.csv``, 18 abnormalities in
``multi_abnormality_labels/{train,valid}_predicted_labels.csv``; both have a column ``VolumeName``. The class of a scan
is the list of its abnormalities with ``; `` between them, or ``none``; they were predicted from the reports by a model.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ...errors import InputError
from ...records import LeftOut, Source
from ..layout import Facts, Layout
from ..naming import compile_subject_pattern, subject_of
from . import pairing, published, tree
from .rows import read_rows

NUM_PATIENTS = 21304
NUM_VOLUMES = {"train": 47149, "validation": 3039}
SECTIONS = ("Findings_EN", "Impressions_EN")
_TITLE = "CT-RATE"
_NAME = r"(?P<key>(?P<patient>(?:train|valid)_\d+)_[a-z]+_\d+)\.nii\.gz"
_REPORTS = r"[^/]*(?:train|valid)[^/]*reports[^/]*\.csv"
_LABELS = r"[^/]*(?:train|valid)[^/]*labels[^/]*\.csv"


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the volumes of CT-RATE that are there, with report and abnormalities where the tables have them."""
    pattern = compile_subject_pattern(subject_pattern)
    found = tree.files(directory, _NAME)
    if not found:
        raise tree.nothing_found(directory, _TITLE, "train/train_1/train_1_a/train_1_a_1.nii.gz")
    found.sort(key=lambda item: not any(part.endswith("_fixed") for part in item[1].parts))
    patients = {match["key"]: match["patient"] for match, _ in found}
    volumes, problems = pairing.by_key(found, lambda match: match["key"])
    reports, unread = _table(directory, _REPORTS, _report)
    labels, more = _table(directory, _LABELS, _abnormalities)
    sources = [
        Source(
            id=key,
            subject=subject_of(path.relative_to(directory).as_posix(), pattern, patients[key]),
            image=str(path),
            modality="ct",
            class_label=labels.get(path.name, ""),
            report=reports.get(path.name, ""),
            split="train" if key.startswith("train") else "validation",
        )
        for key, path in sorted(volumes.items())
    ]
    return sources, problems + unread + more


def _report(row: dict[str, str]) -> str:
    return "\n".join(text for name in SECTIONS if (text := row.get(name, "")))


def _abnormalities(row: dict[str, str]) -> str:
    named = [name for name, value in row.items() if name != "VolumeName" and value in ("1", "1.0")]
    return "; ".join(named) or "none"


def _table(
    directory: Path, pattern: str, told: Callable[[dict[str, str]], str]
) -> tuple[dict[str, str], list[LeftOut]]:
    """Returns what the tables of one kind tell of every volume, and the tables that cannot be read."""
    values: dict[str, str] = {}
    problems: list[LeftOut] = []
    for _, path in tree.files(directory, pattern):
        try:
            values |= {row["VolumeName"]: told(row) for row in read_rows(path)}
        except KeyError:
            problems.append(LeftOut(str(path), "it has no column VolumeName", "download the table again"))
        except InputError as error:
            problems.append(LeftOut(str(path), error.message, error.hint))
    return values, problems


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells how much of the set is there, and which volumes the tables do not know."""
    rows: list[LeftOut] = []
    for split, number in NUM_VOLUMES.items():
        there = sum(source.split == split for source in sources)
        rows += published.short_of(directory, f"volumes of the part {split}", there, number)
    if silent := [source.id for source in sources if not source.report]:
        reason = f"{len(silent)} volumes without a report: {published.listed(silent)}"
        rows.append(LeftOut(str(directory), reason, "download the folder radiology_text_reports"))
    if unlabelled := [source.id for source in sources if not source.class_label]:
        reason = f"{len(unlabelled)} volumes without abnormalities: {published.listed(unlabelled)}"
        rows.append(LeftOut(str(directory), reason, "download the folder multi_abnormality_labels"))
    return rows


LAYOUT = Layout(
    description="CT-RATE: train/train_1/train_1_a/train_1_a_1.nii.gz, radiology_text_reports, multi_abnormality_labels",
    find=find,
    recognises=lambda directory: tree.shows(directory, rf"/{_NAME}$"),
    oddities=oddities,
    facts=Facts(
        title=_TITLE,
        modality="CT, chest, without contrast",
        licence="CC BY-NC-SA 4.0 and terms of access",
        citation="Hamamci et al., Developing generalist foundation models from a multimodal dataset for 3D computed "
        "tomography, arXiv 2403.17834, 2024",
        url="https://huggingface.co/datasets/ibrahimhamamci/CT-RATE",
        third_parties="forbidden",
        gated=True,
        classes=(),
        note="The terms ask to keep the data confidential and forbid to pass any of it on. Scans and reconstructions "
        "of a patient share the report's abnormalities: split by patient.",
    ),
)
