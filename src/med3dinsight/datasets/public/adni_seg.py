"""ADNI with label maps of the SAMSEG kind: ``ADNI/002_S_0295/.../ADNI_002_S_0295_MR_*.nii`` and a map beside it.

The image archive gives scans only; label maps are of the user's own making (``run_samseg``, ``recon-all``), converted
to NIfTI on the grid of the scan. How others lay them down could not be confirmed. Read here: any NIfTI file below a
folder, or with a name, that holds the person's number ``NNN_S_NNNN``; a file with ``seg`` in its name (``seg.nii.gz``,
``SCAN_seg.nii.gz``, ``samseg.nii.gz``), in the same folder or in a folder ``samseg`` there, is the label map. Scans
without one are listed unlabelled. DICOM downloads are read by the layout ``folder``.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...records import LeftOut, Source
from ..folder import pair
from ..layout import Facts, Layout
from ..naming import compile_subject_pattern, safe_id, subject_of, unique_id
from . import published, tree

_TITLE = "ADNI"
_PERSON = re.compile(r"(?<!\d)\d{3}_S_\d{4,5}(?!\d)")
_SEGMENTATION = re.compile(r"(?:^|[._-])(?:sam|a)?seg(?:mentation)?(?:[._-]|$)", re.IGNORECASE)
_SIDE = {
    2: "Cerebral-White-Matter",
    3: "Cerebral-Cortex",
    4: "Lateral-Ventricle",
    5: "Inf-Lat-Vent",
    7: "Cerebellum-White-Matter",
    8: "Cerebellum-Cortex",
    10: "Thalamus",
    11: "Caudate",
    12: "Putamen",
    13: "Pallidum",
    17: "Hippocampus",
    18: "Amygdala",
    26: "Accumbens-area",
    28: "VentralDC",
    30: "vessel",
    31: "choroid-plexus",
}
#: The same structures on the right.
_RIGHT = dict(zip(_SIDE, (41, 42, 43, 44, 46, 47, 49, 50, 51, 52, 53, 54, 58, 60, 62, 63), strict=True))
_MIDDLE = {14: "3rd-Ventricle", 15: "4th-Ventricle", 16: "Brain-Stem", 24: "CSF", 77: "WM-hypointensities"}
#: Values and names of FreeSurfer's colour table, as SAMSEG writes them.
CLASSES = tuple(
    sorted(
        {
            **{value: f"Left-{name}" for value, name in _SIDE.items()},
            **{_RIGHT[value]: f"Right-{name}" for value, name in _SIDE.items()},
            **_MIDDLE,
        }.items()
    )
)


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the scans of ADNI, each with the label map beside it."""
    pattern = compile_subject_pattern(subject_pattern)
    images: dict[Path, list[Path]] = {}
    labels: dict[Path, list[Path]] = {}
    for _, path in tree.files(directory, r"[^/]+\.nii(?:\.gz)?"):
        if _person(path, directory):
            home = path.parent.parent if path.parent.name.lower() == "samseg" else path.parent
            (labels if _SEGMENTATION.search(safe_id(path.name)) else images).setdefault(home, []).append(path)
    if not images:
        raise tree.nothing_found(directory, _TITLE, "002_S_0295/ADNI_002_S_0295_MR_MP-RAGE.nii")
    sources: list[Source] = []
    problems: list[LeftOut] = []
    taken: set[str] = set()
    for folder in sorted({*images, *labels}):
        pairs, orphans = pair(images.get(folder, []), labels.get(folder, []))
        reason, hint = "a label map that belongs to no scan", "name it like its scan, with _seg added"
        problems += [LeftOut(str(path), reason, hint) for path in orphans]
        for image, label in pairs:
            relative, person = image.relative_to(directory).as_posix(), _person(image, directory)
            stem = safe_id(image.name)
            sources.append(
                Source(
                    id=unique_id(stem if person in stem else f"{person}_{stem}", taken),
                    subject=subject_of(relative, pattern, person),
                    image=str(image),
                    label=None if label is None else str(label),
                    label_names=CLASSES if label is not None else (),
                    modality="mr",
                )
            )
    return sources, problems


def _person(path: Path, directory: Path) -> str:
    """Returns the number nearest to the end of the path, from the top folder's own name on, or ""."""
    numbers = _PERSON.findall(f"{directory.name}/{path.relative_to(directory).as_posix()}")
    return numbers[-1] if numbers else ""


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells which scans have no label map."""
    if not (bare := [source.id for source in sources if source.label is None]):
        return []
    reason = f"{len(bare)} of {len(sources)} scans without a label map: {published.listed(bare)}"
    return [LeftOut(str(directory), reason, "write seg.nii.gz into the scan's folder, on the scan's own grid")]


LAYOUT = Layout(
    description="ADNI: 002_S_0295/**/ADNI_002_S_0295_MR_*.nii with seg.nii.gz beside it (label maps of your own)",
    find=find,
    recognises=lambda directory: tree.shows(directory, r"(?<!\d)\d{3}_S_\d{4,5}(?!\d).*\.nii(\.gz)?$"),
    oddities=oddities,
    facts=Facts(
        title=_TITLE,
        modality="MR, T1-weighted, brain",
        licence="ADNI data use agreement",
        citation="Jack et al., The Alzheimer's Disease Neuroimaging Initiative (ADNI): MRI methods, Journal of "
        "Magnetic Resonance Imaging 27, 2008, doi:10.1002/jmri.21049; label maps: Puonti et al., Fast and "
        "sequence-adaptive whole-brain segmentation using parametric Bayesian modeling, NeuroImage 143, 2016, "
        "doi:10.1016/j.neuroimage.2016.09.011",
        url="https://adni.loni.usc.edu/",
        third_parties="forbidden",
        gated=True,
        classes=CLASSES,
        note="The agreement forbids AI tools that may pass the data on, and any redistribution. Many visits a person.",
    ),
)
