"""OpenMind, 114,000 head MR scans of 800 studies: ``OpenMind/dsNNNNNN/sub-X/[ses-Y/]anat/*.nii.gz``.

Unlabelled. ``NAME__Data/deface_mask.nii.gz`` and ``fb_mask.nii.gz`` (or ``anatomy_mask``) beside a scan say where a
face was removed and where there is anatomy; they are no labels and are not listed. Subjects are numbered anew in every
study, so that a subject here is ``dsNNNNNN_sub-X``.
"""

from __future__ import annotations

from pathlib import Path

from ...records import LeftOut, Source
from ..layout import Facts, Layout
from ..naming import compile_subject_pattern, safe_id, subject_of, unique_id
from . import published, tree

NUM_STUDIES = 800
_TITLE = "OpenMind"
_NAME = r"(?P<study>ds\d{6})/(?P<person>sub-[^/]+)/(?:[^/]+/)*[^/]+\.nii(?:\.gz)?"


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the scans of OpenMind, by study."""
    pattern = compile_subject_pattern(subject_pattern)
    taken: set[str] = set()
    sources = [
        Source(
            id=unique_id(safe_id(f"{match['study']}-{path.name}"), taken),
            subject=subject_of(path.relative_to(directory).as_posix(), pattern, f"{match['study']}_{match['person']}"),
            image=str(path),
            modality="mr",
        )
        for match, path in tree.files(directory, _NAME)
        if not any(part.endswith("__Data") for part in path.parts)
    ]
    if not sources:
        raise tree.nothing_found(directory, _TITLE, "OpenMind/ds001486/sub-001/anat/sub-001_T1w.nii.gz")
    return sources, []


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells how many of the studies are missing."""
    return published.short_of(directory, "studies", len({source.id.split("-")[0] for source in sources}), NUM_STUDIES)


def _recognises(directory: Path) -> bool:
    # Single studies of OpenNeuro look alike; only the whole set has a table for all, or masks in folders of a scan.
    studies = tree.shows(directory, r"/ds\d{6}/sub-")
    return studies and tree.shows(directory, r"(__Data/|/openneuro_metadata\.csv$|^OpenMind/|/OpenMind/)")


LAYOUT = Layout(
    description="OpenMind: OpenMind/ds001486/sub-001/anat/sub-001_T1w.nii.gz, openneuro_metadata.csv",
    find=find,
    recognises=_recognises,
    oddities=oddities,
    facts=Facts(
        title=_TITLE,
        modality="MR, 23 kinds, head and neck",
        licence="CC BY 4.0",
        citation="Wald et al., An OpenMind for 3D medical vision self-supervised learning, arXiv 2412.17041, 2024",
        url="https://huggingface.co/datasets/AnonRes/OpenMind",
        third_parties="allowed",
        gated=False,
        classes=(),
        note="One person may take part in several of its studies under other names; nothing in it tells.",
    ),
)
