"""OASIS-1 as processed for neurite: ``OASIS_OAS1_NNNN_MR1/aligned_norm.nii.gz`` with ``aligned_seg4.nii.gz``.

414 people, skull-stripped, bias-corrected and aligned: 160 x 192 x 224 voxels of 1 mm. ``orig``, ``norm``, ``slice_*``
and the 35 structures of ``aligned_seg35`` lie in the same folders and are not listed. Label maps were drawn by
FreeSurfer and SAMSEG, not by people; names as in ``seg4_labels.txt``.
"""

from __future__ import annotations

from pathlib import Path

from ...records import LeftOut, Source
from ..layout import Facts, Layout
from ..naming import compile_subject_pattern, subject_of
from . import pairing, published, tree

CLASSES = ((1, "cortex"), (2, "subcortical gray matter"), (3, "white matter"), (4, "cerebrospinal fluid"))
NUM_PEOPLE = 414
_TITLE = "OASIS-1 (neurite)"


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the aligned scans of OASIS-1."""
    pattern = compile_subject_pattern(subject_pattern)
    folder = r"OASIS_(?P<key>OAS1_\d{4}_MR\d)"
    images, problems = pairing.by_key(
        tree.files(directory, rf"{folder}/aligned_norm\.nii(?:\.gz)?"), lambda match: match["key"]
    )
    labels, doubles = pairing.by_key(
        tree.files(directory, rf"{folder}/aligned_seg4\.nii(?:\.gz)?"), lambda match: match["key"]
    )
    if not images and not labels:
        raise tree.nothing_found(directory, _TITLE, "OASIS_OAS1_0001_MR1/aligned_norm.nii.gz")
    scans, odd = pairing.pair(images, labels, lambda key: True)
    sources = [
        Source(
            id=key,
            subject=subject_of(image.relative_to(directory).as_posix(), pattern, key[: len("OAS1_0000")]),
            image=str(image),
            label=str(label),
            label_names=CLASSES,
            modality="mr",
        )
        for key, image, label in sorted(scans)
    ]
    return sources, problems + doubles + odd


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells how many of the people are missing, and which of ``subjects.txt`` where that file is there."""
    rows = published.short_of(directory, "people", len(sources), NUM_PEOPLE)
    there = {f"OASIS_{source.id}" for source in sources}
    for _, path in tree.files(directory, r"subjects\.txt"):
        listed = path.read_text(encoding="utf-8", errors="replace").split()
        if missing := [name for name in listed if name.startswith("OASIS_OAS1_") and name not in there]:
            reason = f"{len(missing)} of subjects.txt are missing: {published.listed(missing)}"
            rows.append(LeftOut(str(path), reason, "unpack the archive again"))
    return rows


LAYOUT = Layout(
    description="OASIS-1 (neurite): OASIS_OAS1_0001_MR1/aligned_norm.nii.gz with aligned_seg4.nii.gz",
    find=find,
    recognises=lambda directory: tree.shows(directory, r"/OASIS_OAS1_\d{4}_MR\d/aligned_(norm|seg4)\.nii(\.gz)?$"),
    oddities=oddities,
    facts=Facts(
        title=_TITLE,
        modality="MR, T1-weighted, brain",
        licence="OASIS data use agreement",
        citation="Marcus et al., Open Access Series of Imaging Studies (OASIS): Cross-sectional MRI data in young, "
        "middle aged, nondemented, and demented older adults, Journal of Cognitive Neuroscience 19, 2007, "
        "doi:10.1162/jocn.2007.19.9.1498; Hoopes et al., Learning the Effect of Registration Hyperparameters with "
        "HyperMorph, MELBA 1, 2022",
        url="https://github.com/adalca/medical-datasets/blob/master/neurite-oasis.md",
        third_parties="unknown",
        gated=True,
        classes=CLASSES,
        note="The agreement of OASIS holds though the archive itself asks for no sign-up; whether it allows services "
        "of others could not be confirmed. Values are scaled to 0 to 1.",
    ),
)
