"""A BIDS data set: ``sub-*/[ses-*/]anat|ct/*.nii.gz`` beside ``dataset_description.json``.

The subject is the folder ``sub-*``. The modality is CT in a folder ``ct`` or with the suffix ``ct``, else MR.

Label maps are called ``*_dseg`` or ``*_mask`` and lie beside the image or in ``derivatives/*/sub-*/[ses-*/]anat|ct``.
One belongs to the image with the same entities; ``desc``, ``label``, ``atlas`` and ``seg`` do not count, and where it
has ``space-T1w``, ``orig`` or ``mod-T1w``, the image must have that suffix. Maps in another space or resolution
belong to no image. Of several images, the one whose suffix stands first in :data:`SUFFIX_ORDER` gets it; of several
maps an image gets a ``dseg`` before a ``mask``, and one that lies beside it before a derivative.

The class of a scan is the first column of ``participants.tsv`` that is called ``group``, ``diagnosis``, ``dx``,
``label`` or ``class``. Origin and licence are ``Name`` and ``License`` of ``dataset_description.json``.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..records import LeftOut, Source
from ..types import Modality
from ..volumes import nifti
from .naming import compile_subject_pattern, safe_id, subject_of, unique_id

DESCRIPTION = "dataset_description.json"
FOLDERS = ("anat", "ct")
LABEL_SUFFIXES = ("dseg", "mask")
SUFFIX_ORDER = ("T1w", "ct", "CT", "T2w", "FLAIR", "PDw", "PD")
CLASS_COLUMNS = ("group", "diagnosis", "dx", "label", "class")
_LABEL_ENTITIES = frozenset({"desc", "label", "atlas", "seg", "space", "mod"})
_OWN_SPACES = frozenset({"orig", "native", "individual", "scanner"})


@dataclass(frozen=True)
class BidsFile:
    """A file by its name.

    Attributes:
        path: Where it lies.
        entities: ``((key, value), ...)`` in the order of the name.
        suffix: What stands last in the name, as ``T1w``.
    """

    path: Path
    entities: tuple[tuple[str, str], ...]
    suffix: str

    def get(self, key: str) -> str:
        """Returns the value of an entity, empty where it has none."""
        return dict(self.entities).get(key, "")

    @property
    def identity(self) -> frozenset[tuple[str, str]]:
        """The entities by which a label map and its image are the same; order makes no difference."""
        return frozenset(pair for pair in self.entities if pair[0] not in _LABEL_ENTITIES)


def parse_name(path: Path) -> BidsFile:
    """Takes a name to pieces.

    Example:
        >>> parse_name(Path("sub-01_ses-2_T1w.nii.gz"))
        BidsFile(path=PosixPath('sub-01_ses-2_T1w.nii.gz'), entities=(('sub', '01'), ('ses', '2')), suffix='T1w')
    """
    *pairs, suffix = path.name.partition(".")[0].split("_")
    parted = (pair.partition("-") for pair in pairs)
    return BidsFile(path, tuple((key, value) for key, _, value in parted), suffix)


def recognises(directory: Path) -> bool:
    """Says whether there is a ``dataset_description.json`` beside folders ``sub-*``."""
    return (directory / DESCRIPTION).is_file() and any(directory.glob("sub-*/"))


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists the images in ``anat`` and ``ct``.

    Args:
        directory: The folder with ``dataset_description.json``.
        subject_pattern: See :func:`med3dinsight.datasets.find`.

    Raises:
        ConfigError: The pattern is none.
        InputError: There is no folder ``sub-*``.
    """
    pattern = compile_subject_pattern(subject_pattern)
    subjects = sorted(path for path in directory.glob("sub-*/"))
    if not subjects:
        raise InputError(f"{directory} has no folders sub-*", "give the top folder of a BIDS data set")
    participants, problems = _participants(directory)
    description = _description(directory)
    derivatives = sorted(directory.glob("derivatives/*/"))
    sources: list[Source] = []
    taken: set[str] = set()
    for subject in subjects:
        maps = [file for pipeline in derivatives for file in _files(pipeline / subject.name) if _is_label(file)]
        files = list(_files(subject))
        images = [file for file in files if not _is_label(file)]
        labels, odd = match_labels(images, [file for file in files if _is_label(file)] + maps)
        problems += odd
        row = participants.get(subject.name, {})
        for image in images:
            relative = image.path.relative_to(directory).as_posix()
            label = labels.get(image.path)
            names = () if label is None else _label_names(label, directory, problems)
            sources.append(
                Source(
                    id=unique_id(safe_id(image.path.name), taken),
                    subject=subject_of(relative, pattern, subject.name),
                    image=str(image.path),
                    label=None if label is None else str(label),
                    label_names=names,
                    modality=_modality(image),
                    class_label=next((row[key] for key in CLASS_COLUMNS if key in row), ""),
                    origin=description.get("Name", ""),
                    licence=description.get("License", ""),
                )
            )
    return sources, problems


def _files(subject: Path) -> Iterator[BidsFile]:
    for folder in (*FOLDERS, *(f"ses-*/{name}" for name in FOLDERS)):
        for path in sorted(subject.glob(f"{folder}/*")):
            if path.name.lower().endswith(nifti.SUFFIXES) and not path.name.startswith("."):
                yield parse_name(path)


def _is_label(file: BidsFile) -> bool:
    return file.suffix in LABEL_SUFFIXES


def _modality(image: BidsFile) -> Modality:
    return "ct" if image.path.parent.name == "ct" or image.suffix.lower() == "ct" else "mr"


def match_labels(images: list[BidsFile], labels: list[BidsFile]) -> tuple[dict[Path, Path], list[LeftOut]]:
    """Gives images their label maps by the rule of this module.

    Args:
        images: Images of one subject.
        labels: Label maps of the same subject, those beside the images first.

    Returns:
        ``{image: label map}``, and the maps that are left.
    """
    given: dict[Path, Path] = {}
    problems = []
    for label in sorted(labels, key=lambda file: LABEL_SUFFIXES.index(file.suffix)):
        candidates = sorted((image for image in images if _fits(image, label)), key=_rank)
        if not candidates:
            reason, hint = "a label map that belongs to no image", "it needs the entities of its image, and its grid"
            problems.append(LeftOut(str(label.path), reason, hint))
        elif (before := given.setdefault(candidates[0].path, label.path)) != label.path:
            reason = f"one more label map of an image that has {before.name}"
            problems.append(LeftOut(str(label.path), reason, "one map an image is read: merge them, or use a table"))
    return given, problems


def _rank(image: BidsFile) -> int:
    return SUFFIX_ORDER.index(image.suffix) if image.suffix in SUFFIX_ORDER else len(SUFFIX_ORDER)


def _fits(image: BidsFile, label: BidsFile) -> bool:
    if image.identity != label.identity:
        return False
    space, of = label.get("space"), label.get("mod")
    if (of and of != image.suffix) or (image.get("space") and not space):
        return False
    return not space or space in _OWN_SPACES or space in (image.suffix, image.get("space"))


def _label_names(label: Path, directory: Path, problems: list[LeftOut]) -> tuple[tuple[int, str], ...]:
    """Reads a look-up table of BIDS (columns ``index`` and ``name``), else the names in the map's own header."""
    stem = label.name.partition(".")[0]
    pipeline = next((path for path in label.parents if path.parent.name == "derivatives"), directory)
    for table in (label.with_name(f"{stem}.tsv"), pipeline / "dseg.tsv", directory / "dseg.tsv"):
        if table.is_file():
            try:
                rows = _read_tsv(table)
            except InputError as error:
                if (problem := LeftOut(str(table), error.message, error.hint)) not in problems:
                    problems.append(problem)
                return ()
            pairs = ((row.get("index", ""), row.get("name", "")) for row in rows)
            return tuple(sorted((int(index), name) for index, name in pairs if index.isdecimal() and int(index)))
    return tuple(sorted(nifti.embedded_names(label).items()))


def _description(directory: Path) -> dict[str, str]:
    """Returns the texts in ``dataset_description.json``; none where it cannot be read, for the scans need it not."""
    try:
        told = json.loads((directory / DESCRIPTION).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}
    return {key: value for key, value in told.items() if isinstance(value, str)} if isinstance(told, dict) else {}


def _participants(directory: Path) -> tuple[dict[str, dict[str, str]], list[LeftOut]]:
    path = directory / "participants.tsv"
    if not path.is_file():
        return {}, []
    try:
        rows = _read_tsv(path)
    except InputError as error:
        return {}, [LeftOut(str(path), error.message, error.hint)]
    known = {row.get("participant_id", ""): row for row in rows}
    return {name if name.startswith("sub-") else f"sub-{name}": row for name, row in known.items()}, []


def _read_tsv(path: Path) -> list[dict[str, str]]:
    """Returns the rows with names of columns in small letters; ``n/a`` is empty."""
    try:
        reader = csv.reader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), delimiter="\t")
        columns = [name.strip().lower() for name in next(reader, [])]
        rows = [dict(zip(columns, map(str.strip, values), strict=False)) for values in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read: {error}", "write it as a TSV file in UTF-8") from None
    return [{key: "" if value.lower() == "n/a" else value for key, value in row.items()} for row in rows]


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells of people without a scan, of people that the table does not know or only it knows, and of other images."""
    found = {Path(source.image).relative_to(directory).parts[0] for source in sources}
    present = {path.name for path in directory.glob("sub-*/")}
    odd = [
        LeftOut(str(directory / name), "a person without an image in anat or ct", "see whether the download is whole")
        for name in sorted(present - found)
    ]
    rows, _ = _participants(directory)
    if rows:
        table = str(directory / "participants.tsv")
        unlisted, gone = sorted(found - {*rows}), sorted({*rows} - present)
        odd += [LeftOut(table, f"{name} has no row", "add one, if the class is wanted") for name in unlisted]
        odd += [LeftOut(table, f"{name} has no folder", "see whether the download is whole") for name in gone]
    others = Counter(
        path.parent.name
        for path in directory.glob("sub-*/**/*")
        if path.name.lower().endswith(nifti.SUFFIXES) and path.parent.name not in FOLDERS
    )
    hint = "only those in anat and ct are scans"
    return odd + [
        LeftOut(str(directory), f"{count} images in folders `{name}` are not taken", hint)
        for name, count in sorted(others.items())
    ]
