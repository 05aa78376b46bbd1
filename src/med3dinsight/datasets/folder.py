"""A plain folder of scans, any depth: NIfTI, NRRD, MetaImage files and folders of DICOM series.

The subject is the name of the top folder, else of the file, or what a pattern takes out of the path.
A file with ``label``, ``seg`` or ``mask`` in its name is the label map of the image beside it: of
the one whose name is the same without that word, else of the only image there is. A ``samples.csv``
at the top says all this instead.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import InputError
from ..records import LeftOut, Source
from ..volumes.dicom import series_files
from ..volumes.labels import read_label_names
from ..volumes.reading import SUFFIXES
from . import table
from .naming import compile_subject_pattern, safe_id, subject_of, unique_id

_WORDS = re.compile(r"(labels?|segmentations?|seg|masks?|image|img)", re.IGNORECASE)
_LABEL = re.compile(r"label|seg|mask", re.IGNORECASE)


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the scans of a folder, sorted by path.

    Args:
        directory: The folder.
        subject_pattern: Regular expression that is searched in the path below ``directory``; its first
            group is the subject. Empty: the top folder, else the file name.

    Returns:
        The scans, and the files that belong to none.

    Raises:
        ConfigError: The pattern is no regular expression with a group.
    """
    if (directory / table.NAME).exists():
        return table.read_table(directory / table.NAME)
    pattern = compile_subject_pattern(subject_pattern)
    sources: list[Source] = []
    problems: list[LeftOut] = []
    taken: set[str] = set()
    for images, labels in _folders(directory):
        pairs, orphans = pair(images, labels)
        problems += [
            LeftOut(str(path), "a label map that belongs to no image", "name it like its image, with _label added")
            for path in orphans
        ]
        for image, label in pairs:
            relative = image.relative_to(directory).as_posix() if image != directory else directory.name
            try:
                names = () if label is None else read_label_names(label)
            except InputError as error:
                problems.append(LeftOut(str(label), error.message, error.hint))
                continue
            name = unique_id(safe_id(relative), taken)
            sources.append(
                Source(
                    id=name,
                    subject=subject_of(relative, pattern, _top(relative)),
                    image=str(image.absolute()),
                    label=None if label is None else str(label.absolute()),
                    label_names=names,
                )
            )
    return sources, problems


def _folders(directory: Path) -> list[tuple[list[Path], list[Path]]]:
    """Returns the images and label maps of each folder; a DICOM series counts where its folder lies."""
    series: dict[Path, list[Path]] = {}
    files: dict[Path, list[Path]] = {}
    for name, folders, entries in os.walk(directory):
        folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
        here = Path(name)
        if "workspace.json" in entries:  # our own output may lie among the scans
            folders.clear()
            continue
        visible = [entry for entry in sorted(entries) if not entry.startswith(".")]
        scans = [here / entry for entry in visible if entry.lower().endswith(SUFFIXES)]
        if scans:
            files[here] = scans
        if len(visible) > len(scans) and series_files(here):
            series.setdefault(here.parent if here != directory else here, []).append(here)
    found = []
    for folder in sorted({*series, *files}):
        labels = [path for path in files.get(folder, []) if _LABEL.search(path.name)]
        images = [path for path in files.get(folder, []) if path not in labels]
        found.append((series.get(folder, []) + images, labels))
    return found


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


def _top(relative: str) -> str:
    top, _, rest = relative.partition("/")
    return top if rest else safe_id(top)
