"""ACDC, hearts in cine MR: ``patientNNN/patientNNN_frameNN.nii.gz`` with ``_gt``, in ``training`` and ``testing``.

Two frames a person are labelled: end of diastole and end of systole. The whole cine, ``patientNNN_4d.nii.gz``, holds
the same voxels and is not listed. ``Info.cfg`` beside them gives the group, which becomes the class: NOR normal, MINF
infarction, DCM dilated and HCM hypertrophic cardiomyopathy, RV abnormal right ventricle.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...records import LeftOut, Source
from ..layout import Facts, Layout
from ..naming import compile_subject_pattern, subject_of
from . import pairing, published, tree

CLASSES = ((1, "right ventricle cavity"), (2, "myocardium"), (3, "left ventricle cavity"))
GROUPS = ("NOR", "MINF", "DCM", "HCM", "RV")
_TITLE = "ACDC"
_GROUP = re.compile(r"^Group:\s*(\w+)", re.MULTILINE)


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the labelled frames of ACDC; patients 1 to 100 train, 101 to 150 test, as published."""
    pattern = compile_subject_pattern(subject_pattern)
    frame = r"(?P<key>patient\d{3}_frame\d{2})"
    images, problems = pairing.by_key(tree.files(directory, rf"{frame}\.nii(?:\.gz)?"), lambda match: match["key"])
    labels, doubles = pairing.by_key(tree.files(directory, rf"{frame}_gt\.nii(?:\.gz)?"), lambda match: match["key"])
    if not images and not labels:
        raise tree.nothing_found(directory, _TITLE, "patient001/patient001_frame01.nii.gz")
    scans, odd = pairing.pair(images, labels, lambda key: True)
    sources = [
        Source(
            id=key,
            subject=subject_of(image.relative_to(directory).as_posix(), pattern, key[: len("patient000")]),
            image=str(image),
            label=str(label),
            label_names=CLASSES,
            modality="mr",
            class_label=_group(image.with_name("Info.cfg")),
            split="train" if int(key[len("patient") :][:3]) <= 100 else "test",
        )
        for key, image, label in sorted(scans)
    ]
    return sources, problems + doubles + odd


def _group(path: Path) -> str:
    try:
        match = _GROUP.search(path.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return match[1] if match else ""


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells which patients or groups are missing, and where a patient has not two frames."""
    frames: dict[str, int] = {}
    for source in sources:
        frames[Path(source.image).name[: len("patient000")]] = frames.get(Path(source.image).name[:10], 0) + 1
    known = {f"patient{number:03}" for number in range(1, 151)}
    rows = published.short_of(directory, "patients", len(frames.keys() & known), len(known))
    rows += published.unknown(directory, "patients", frames, known)
    if odd := [name for name, count in frames.items() if count != 2]:
        reason = f"patients without exactly two labelled frames: {published.listed(odd)}"
        rows.append(LeftOut(str(directory), reason, "download them again"))
    for source in sources:
        if source.class_label not in GROUPS:
            told = f"gives the group {source.class_label!r}" if source.class_label else "is missing or gives no group"
            path = Path(source.image).with_name("Info.cfg")
            rows.append(LeftOut(str(path), f"Info.cfg of {source.id} {told}", f"the groups are {', '.join(GROUPS)}"))
    return rows


LAYOUT = Layout(
    description="ACDC: training/patient001/patient001_frame01.nii.gz with _gt and Info.cfg, testing",
    find=find,
    recognises=lambda directory: tree.shows(directory, r"/patient\d{3}_frame\d{2}(_gt)?\.nii(\.gz)?$"),
    oddities=oddities,
    facts=Facts(
        title=_TITLE,
        modality="cine MR, short axis",
        licence="CC BY-NC-SA 4.0",
        citation="Bernard et al., Deep Learning Techniques for Automatic MRI Cardiac Multi-Structures Segmentation and "
        "Diagnosis: Is the Problem Solved?, IEEE Transactions on Medical Imaging 37, 2018, "
        "doi:10.1109/TMI.2018.2837502",
        url="https://www.creatis.insa-lyon.fr/Challenge/acdc/",
        third_parties="unknown",
        gated=False,
        classes=CLASSES,
        note="Two frames of one heart are one person. Slices are 5 to 10 mm apart. Classes: " + ", ".join(GROUPS) + ".",
    ),
)
