"""AbdomenCT-1K, four abdominal organs: ``Case_NNNNN_0000.nii.gz`` with ``Mask/Case_NNNNN.nii.gz``.

Images come in several archives (``AbdomenCT-1K-ImagePart1`` and so on, or ``imagesTr``), label maps in ``Mask``; both
are looked for at any depth. Label maps of 1,000 of the 1,112 cases are public: images without one are listed
unlabelled.
"""

from __future__ import annotations

from pathlib import Path

from ...records import LeftOut, Source
from ..layout import Facts, Layout
from ..naming import compile_subject_pattern, subject_of
from . import pairing, published, tree

CLASSES = ((1, "liver"), (2, "kidney"), (3, "spleen"), (4, "pancreas"))
NUM_LABELLED, LAST = 1000, 1112
_TITLE = "AbdomenCT-1K"


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the cases of AbdomenCT-1K."""
    pattern = compile_subject_pattern(subject_pattern)
    images, problems = pairing.by_key(
        tree.files(directory, r"(?P<key>Case_\d{5})_0000\.nii(?:\.gz)?"), lambda match: match["key"]
    )
    labels, doubles = pairing.by_key(
        tree.files(directory, r"(?P<key>Case_\d{5})\.nii(?:\.gz)?"), lambda match: match["key"]
    )
    if not images:
        raise tree.nothing_found(directory, _TITLE, "Case_00001_0000.nii.gz and Mask/Case_00001.nii.gz")
    scans, odd = pairing.pair(images, labels, lambda key: False)
    sources = [
        Source(
            id=key,
            subject=subject_of(image.relative_to(directory).as_posix(), pattern, key),
            image=str(image),
            label=None if label is None else str(label),
            label_names=CLASSES if label is not None else (),
            modality="ct",
        )
        for key, image, label in sorted(scans)
    ]
    return sources, problems + doubles + odd


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells how many label maps are missing, and case numbers that do not exist."""
    known = {f"Case_{number:05}" for number in range(1, LAST + 1)}
    labelled = sum(source.label is not None for source in sources)
    rows = published.short_of(directory, "labelled cases", labelled, NUM_LABELLED)
    return rows + published.unknown(directory, "cases", (source.id for source in sources), known)


def _recognises(directory: Path) -> bool:
    paths = tree.glimpse(directory)
    images = any(path.endswith("_0000.nii.gz") and "/Case_" in path for path in paths)
    # FLARE names unlabelled images in the same way; its label maps are named otherwise.
    return images and tree.shows(directory, r"(/Case_\d{5}\.nii\.gz$|AbdomenCT-?1K)")


LAYOUT = Layout(
    description="AbdomenCT-1K: Case_00001_0000.nii.gz with Mask/Case_00001.nii.gz",
    find=find,
    recognises=_recognises,
    oddities=oddities,
    facts=Facts(
        title=_TITLE,
        modality="CT, abdomen",
        licence="not confirmed: see its page, and the licences of the data sets that it was put together from",
        citation="Ma et al., AbdomenCT-1K: Is Abdominal Organ Segmentation a Solved Problem?, IEEE Transactions on "
        "Pattern Analysis and Machine Intelligence 44, 2022, doi:10.1109/TPAMI.2021.3100536",
        url="https://github.com/JunMa11/AbdomenCT-1K",
        third_parties="unknown",
        gated=False,
        classes=CLASSES,
        note="Holds the people of lits (201), KiTS19 (300), msd_spleen (61), msd_pancreas (420) and NIH Pancreas-CT "
        "(80) under new numbers: never test on one of them what was trained on the other. Left and right kidney are "
        "one class.",
    ),
)
