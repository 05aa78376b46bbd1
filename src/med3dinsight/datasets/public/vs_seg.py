"""Vestibular-Schwannoma-SEG: ``vs_gk_N/vs_gk_t1_refT1.nii.gz``, ``vs_gk_t2_refT2.nii.gz`` with ``vs_gk_seg_refT*``.

The archive gives DICOM files and contours as JSON; the authors' conversion writes these NIfTI files, with or without
the person's number in the name. Unlike NIfTI files, contours are not read here. T1 (with contrast) and T2 of a person
are two scans, each with the tumour on its own grid.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...records import LeftOut, Source
from ..layout import Facts, Layout
from ..naming import compile_subject_pattern, subject_of
from . import pairing, published, tree

CLASSES = ((1, "vestibular schwannoma"),)
NUM_PEOPLE = 242
#: People whom the authors do not use: T1 and T2 are the same, half a scan, or twice in the data.
DISCARDED = {97: "T1 and T2 are the same scan", 130: "T1 and T2 are the same scan", 160: "T1 and T2 are the same scan"}
DISCARDED |= {208: "only part of the head was scanned", 219: "only part of the head was scanned", 227: "a double"}
_TITLE = "Vestibular-Schwannoma-SEG"
_NAME = r"vs_gk_(?:(?P<own>\d+)_)?(?P<what>t1|t2|seg)_ref(?P<grid>T1|T2)\.nii(?:\.gz)?"
_FOLDER = re.compile(r"(?:vs_gk_|VS-SEG-)0*(\d+)")


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the scans of both contrasts; one that was resampled onto the other's grid takes the mask of that grid."""
    pattern = compile_subject_pattern(subject_pattern)
    keys: dict[re.Match[str], str] = {}
    found: list[tuple[re.Match[str], Path]] = []
    problems: list[LeftOut] = []
    for match, path in tree.files(directory, _NAME):
        number = match["own"] or _number_of(path)
        if not number:
            reason = "neither its name nor its folder's tells whose scan it is"
            problems.append(LeftOut(str(path), reason, "keep the folders vs_gk_1, vs_gk_2 and so on"))
            continue
        keys[match] = f"vs_gk_{number}_{match['what']}_ref{match['grid']}"
        found.append((match, path))
    images, doubles = pairing.by_key((item for item in found if item[0]["what"] != "seg"), lambda match: keys[match])
    labels, more = pairing.by_key((item for item in found if item[0]["what"] == "seg"), lambda match: keys[match])
    if not found and not problems:
        raise tree.nothing_found(directory, _TITLE, "vs_gk_1/vs_gk_t1_refT1.nii.gz (see its conversion from DICOM)")
    masks = {key: _mask(key) for key in images}
    scans, odd = pairing.pair(
        images, {key: labels[mask] for key, mask in masks.items() if mask in labels}, lambda key: True
    )
    orphans = {key: path for key, path in labels.items() if key not in masks.values()}
    odd += pairing.pair({}, orphans, lambda key: True)[1]
    sources = [
        Source(
            id=key,
            subject=subject_of(image.relative_to(directory).as_posix(), pattern, key.rsplit("_", 2)[0]),
            image=str(image),
            label=str(label),
            label_names=CLASSES,
            modality="mr",
        )
        for key, image, label in sorted(scans)
    ]
    return sources, problems + doubles + more + odd


def _number_of(path: Path) -> str:
    """Returns the number in the name of the nearest folder that has one."""
    return next((match[1] for part in reversed(path.parts[:-1]) if (match := _FOLDER.match(part))), "")


def _mask(key: str) -> str:
    person, _, grid = key.rsplit("_", 2)
    return f"{person}_seg_{grid}"


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells how many of the people are missing, and whom the authors leave out."""
    people = {int(source.id.split("_")[2]): source for source in sources}
    rows = published.short_of(directory, "people", len(people), NUM_PEOPLE)
    for number in sorted(DISCARDED.keys() & people.keys()):
        reason = f"the authors do not use vs_gk_{number}: {DISCARDED[number]}"
        rows.append(LeftOut(people[number].image, reason, "leave this person out to compare with them"))
    return rows


LAYOUT = Layout(
    description="Vestibular-Schwannoma-SEG: vs_gk_1/vs_gk_t1_refT1.nii.gz, vs_gk_t2_refT2.nii.gz, vs_gk_seg_refT*",
    find=find,
    recognises=lambda directory: tree.shows(directory, r"/vs_gk_(\d+_)?(t1|t2|seg)_refT[12]\.nii(\.gz)?$"),
    oddities=oddities,
    facts=Facts(
        title=_TITLE,
        modality="MR, contrast-enhanced T1 and T2, head",
        licence="that of its page in The Cancer Imaging Archive (CC BY 4.0 at its publication)",
        citation="Shapey et al., Segmentation of vestibular schwannoma from MRI, an open annotated dataset and "
        "baseline algorithm, Scientific Data 8, 2021, doi:10.1038/s41597-021-01064-w; data: doi:10.7937/TCIA.9YTJ-5Q73",
        url="https://doi.org/10.7937/TCIA.9YTJ-5Q73",
        third_parties="unknown",
        gated=False,
        classes=CLASSES,
        note="Heads with faces: see what the archive says today before anything leaves the machine. The T1 scans are "
        "also the source part of the crossMoDA challenges.",
    ),
)
