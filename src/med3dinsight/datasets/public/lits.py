"""LiTS, livers and their tumours: ``volume-N.nii`` with ``segmentation-N.nii``, in two training batches.

131 labelled volumes (0 to 130); the 70 test volumes, ``test-volume-N.nii``, come without label maps.
"""

from __future__ import annotations

from pathlib import Path

from ...records import LeftOut, Source
from ..layout import Facts, Layout
from ..naming import compile_subject_pattern, subject_of
from . import pairing, published, tree

CLASSES = ((1, "liver"), (2, "tumour"))
_TITLE = "LiTS"


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the volumes of LiTS, by number."""
    pattern = compile_subject_pattern(subject_pattern)
    images, problems = pairing.by_key(
        tree.files(directory, r"(?P<key>(?:test-)?volume-\d+)\.nii(?:\.gz)?"), lambda match: match["key"]
    )
    labels, doubles = pairing.by_key(
        tree.files(directory, r"segmentation-(?P<key>\d+)\.nii(?:\.gz)?"), lambda match: f"volume-{match['key']}"
    )
    if not images and not labels:
        raise tree.nothing_found(directory, _TITLE, "volume-0.nii and segmentation-0.nii")
    scans, odd = pairing.pair(images, labels, lambda key: not key.startswith("test"))
    sources = [
        Source(
            id=key,
            subject=subject_of(image.relative_to(directory).as_posix(), pattern, key),
            image=str(image),
            label=None if label is None else str(label),
            label_names=CLASSES if label is not None else (),
            modality="ct",
            split="test" if key.startswith("test") else "train",
        )
        for key, image, label in sorted(scans, key=lambda scan: (scan[0][0], int(scan[0].rpartition("-")[2])))
    ]
    return sources, problems + doubles + odd


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells what is missing of the 131 training volumes, and numbers that do not exist."""
    train = {f"volume-{number}" for number in range(131)}
    test = {f"test-volume-{number}" for number in range(70)}
    there = {source.id for source in sources}
    rows = published.short_of(directory, "training volumes", len(there & train), len(train))
    if there & test:  # a download of its own
        rows += published.short_of(directory, "test volumes", len(there & test), len(test))
    return rows + published.unknown(directory, "volumes", there, train | test)


LAYOUT = Layout(
    description="LiTS: volume-0.nii with segmentation-0.nii, test-volume-0.nii",
    find=find,
    recognises=lambda directory: tree.shows(directory, r"/(test-)?volume-\d+\.nii(\.gz)?$"),
    oddities=oddities,
    facts=Facts(
        title=_TITLE,
        modality="CT, abdomen",
        licence="CC BY-NC-ND 4.0",
        citation="Bilic et al., The Liver Tumor Segmentation Benchmark (LiTS), Medical Image Analysis 84, 2023, "
        "doi:10.1016/j.media.2022.102680",
        url="https://competitions.codalab.org/competitions/17094",
        third_parties="forbidden",
        gated=True,
        classes=CLASSES,
        note="The same people as msd_liver (so also in 3dseg8), and among those of abdomenct1k.",
    ),
)
