"""A plain folder of scans, any depth: NIfTI, NRRD, MetaImage files and folders of DICOM series.

*Subject*: what a pattern takes out of the path, else the name of the top folder, else of the file. A top folder
whose name only says what is in it (``images``, ``scans``, ``train``, ...) is passed over.

*Label maps*: a file with ``label``, ``seg`` or ``mask`` in its name, and every file in a folder called ``labels``,
``masks`` or the like. One belongs to the image beside it whose name is the same without such words, else to the only
image there is; those in a folder of their own are compared with the images beside that folder and in the folders
beside it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..records import LeftOut, Source
from ..volumes.labels import read_label_names
from .dicom_folders import DicomScan, dicom_scans, torn_patients
from .naming import compile_subject_pattern, safe_id, subject_of, unique_id
from .walking import walk

_WORDS = re.compile(r"(labels?|segmentations?|seg|masks?|image|img)", re.IGNORECASE)
_LABEL = re.compile(r"label|seg|mask", re.IGNORECASE)
_LABEL_FOLDER = re.compile(r"(labels?|masks?|segs?|segmentations?)(tr|ts)?", re.IGNORECASE)
#: Names of top folders that are no people.
_PLAIN_FOLDER = re.compile(
    r"(images?|imgs?|scans?|volumes?|data|nii|niftis?|dicoms?)(tr|ts)?|train(ing)?|val(idation)?|test(ing)?",
    re.IGNORECASE,
)


@dataclass
class _Group:
    """The scans of one folder, and the label maps beside them; those in a folder of their own come after."""

    images: list[Path] = field(default_factory=list)
    labels: list[Path] = field(default_factory=list)
    apart: list[Path] = field(default_factory=list)


def recognises(directory: Path) -> bool:
    """Says yes to any folder."""
    return directory.is_dir()


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the scans of a folder, sorted by folder and name.

    Args:
        directory: The folder.
        subject_pattern: See :func:`med3dinsight.datasets.find`.

    Returns:
        The scans, and the files that belong to none.

    Raises:
        ConfigError: The pattern is no regular expression with a group.
    """
    pattern = compile_subject_pattern(subject_pattern)
    sources: list[Source] = []
    problems: list[LeftOut] = []
    taken: set[str] = set()
    groups, series = _groups(directory, problems)
    label_of = _pair_all(groups, problems)
    for image in [image for folder in sorted(groups) for image in groups[folder].images]:
        relative = image.relative_to(directory).as_posix() if image != directory else directory.name
        subject = subject_of(relative, pattern, _top(relative))
        label = label_of.get(image)
        names = () if label is None else _names(label, problems)
        for part in series.get(image, [DicomScan(image, "", None, "")]):
            sources.append(
                Source(
                    id=unique_id(safe_id(relative) + part.suffix, taken),
                    subject=subject,
                    image=str(image),
                    series=part.series,
                    label=None if label is None else str(label),
                    label_names=names,
                    modality=part.modality,
                )
            )
    return sources, problems


def _groups(directory: Path, problems: list[LeftOut]) -> tuple[dict[Path, _Group], dict[Path, list[DicomScan]]]:
    """Collects images and label maps by folder; a folder that is one DICOM series counts where it lies itself."""
    groups: dict[Path, _Group] = {}
    series: dict[Path, list[DicomScan]] = {}
    for folder in walk(directory, problems):
        apart = folder.path != directory and _LABEL_FOLDER.fullmatch(folder.path.name)
        if apart and folder.scans:
            groups.setdefault(folder.path.parent, _Group()).apart += folder.scans
        elif folder.scans:
            group = groups.setdefault(folder.path, _Group())
            group.labels += [path for path in folder.scans if _LABEL.search(path.name)]
            group.images += [path for path in folder.scans if not _LABEL.search(path.name)]
        for found in dicom_scans(folder, problems):
            if found.image not in series:
                beside = found.image != folder.path or folder.path in groups or folder.path == directory
                group = groups.setdefault(folder.path if beside else folder.path.parent, _Group())
                group.images.append(found.image)
            series.setdefault(found.image, []).append(found)
    return groups, series


def _pair_all(groups: dict[Path, _Group], problems: list[LeftOut]) -> dict[Path, Path]:
    label_of: dict[Path, Path] = {}
    used: set[Path] = set()
    for folder, group in groups.items():
        pairs, _ = pair(group.images, group.labels)
        rest = [image for image, label in pairs if label is None]
        beside = groups[folder.parent].apart if folder.parent in groups else []
        pairs += pair(rest, group.apart + beside)[0]
        label_of |= {image: label for image, label in pairs if label is not None}
    used = set(label_of.values())
    problems += [
        LeftOut(str(path), "a label map that belongs to no image", "name it like its image, with _label added")
        for folder in sorted(groups)
        for path in groups[folder].labels + groups[folder].apart
        if path not in used
    ]
    return label_of


def pair(images: list[Path], labels: list[Path]) -> tuple[list[tuple[Path, Path | None]], list[Path]]:
    """Gives every image of one folder its label map.

    Args:
        images: Image files, or folders of DICOM series.
        labels: Label maps beside them.

    Returns:
        ``(image, label map or None)`` for every image, and the label maps that are left.

    Example:
        >>> pair([Path("a.nii"), Path("b_image.nii")], [Path("b_label.nii")])[0][1]
        (PosixPath('b_image.nii'), PosixPath('b_label.nii'))
    """
    if len(images) == 1 and len(labels) == 1:
        return [(images[0], labels[0])], []
    by_stem = {_stem(path): path for path in reversed(labels)}
    pairs: list[tuple[Path, Path | None]] = [(image, by_stem.get(_stem(image))) for image in images]
    used = {label for _, label in pairs}
    return pairs, [label for label in labels if label not in used]


def _stem(path: Path) -> str:
    return re.sub(r"[\W_]+", "", _WORDS.sub("", safe_id(path.name))).lower()


def _names(label: Path, problems: list[LeftOut]) -> tuple[tuple[int, str], ...]:
    try:
        return read_label_names(label)
    except InputError as error:
        problems.append(LeftOut(str(label), error.message, error.hint))
        return ()


def _top(relative: str) -> str:
    *folders, name = relative.split("/")
    people = [folder for folder in folders if not _PLAIN_FOLDER.fullmatch(folder)]
    return people[0] if people else safe_id(name)


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells of data sets inside the folder that have a description of their own, and of subjects that are doubtful."""
    odd = [
        LeftOut(str(path), "a data set with a description of its own lies in this folder", "prepare it by itself")
        for name in ("dataset.json", "dataset_description.json")
        for path in sorted({*directory.glob(f"*/{name}"), *directory.glob(f"*/*/{name}")})
    ]
    counts = Counter(source.subject for source in sources)
    if len(sources) >= 4 and len(counts) == 1:
        reason = f"all {len(sources)} scans are of one subject, {sources[0].subject}"
        odd.append(LeftOut(str(directory), reason, "if they are of several people, set prepare.subject_pattern"))
    for names in torn_patients(sources):
        reason = f"the DICOM files of {', '.join(names)} are of one patient"
        odd.append(LeftOut(str(directory), reason, "put them into one folder, or set prepare.subject_pattern"))
    return odd
