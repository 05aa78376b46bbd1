"""A data set of nnU-Net, version 2 (and 1, whose ``dataset.json`` has the same folders beside it).

``imagesTr/CASE_0000.nii.gz``, ``CASE_0001.nii.gz`` are the channels of a case, ``labelsTr/CASE.nii.gz`` its label
map, ``imagesTs`` the test set. Each channel becomes a scan of its own, with the subject and the label map of its
case; a case is a subject unless a pattern says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from ..records import LeftOut, Source
from ..volumes.reading import SUFFIXES
from .dataset_json import NAME, channels, count_oddity, label_names, read_description
from .modalities import modality_of
from .naming import compile_subject_pattern, safe_id, subject_of, unique_id

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})$")
#: Folder of images, folder of label maps, split.
_PARTS = (("imagesTr", "labelsTr", ""), ("imagesTs", "labelsTs", "test"))


@dataclass(frozen=True)
class _Image:
    case: str
    channel: int
    path: Path
    label: Path | None
    split: str


def recognises(directory: Path) -> bool:
    """Says whether there is a ``dataset.json`` beside ``imagesTr``; the Decathlon is tried before."""
    return (directory / NAME).is_file() and (directory / "imagesTr").is_dir()


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists every channel of every case.

    A case of a data set with one channel has the case's name as its id; of one with several, ``CASE_0000`` and so on.

    Args:
        directory: The folder with ``dataset.json``.
        subject_pattern: See :func:`med3dinsight.datasets.find`.

    Raises:
        ConfigError: The pattern is none.
        InputError: ``dataset.json`` cannot be used.
    """
    pattern = compile_subject_pattern(subject_pattern)
    description = read_description(directory)
    sequences = channels(description.get("channel_names", description.get("modality")), directory)
    values = label_names(description.get("labels", {}), directory)
    ending = _ending(description.get("file_ending"), directory)
    sources: list[Source] = []
    problems: list[LeftOut] = []
    taken: set[str] = set()
    for image in _images(directory, ending, problems):
        if image.channel >= len(sequences):
            reason = f"channel {image.channel} is none of the {len(sequences)} in {NAME}"
            problems.append(LeftOut(str(image.path), reason, f"add it to `channel_names` in {NAME}"))
            continue
        case = safe_id(image.case)
        sources.append(
            Source(
                id=unique_id(case if len(sequences) == 1 else f"{case}_{image.channel:04d}", taken),
                subject=subject_of(image.path.relative_to(directory).as_posix(), pattern, image.case),
                image=str(image.path),
                label=None if image.label is None else str(image.label),
                label_names=() if image.label is None else values,
                modality=modality_of(sequences[image.channel]),
                origin=str(description.get("name", "")),
                licence=str(description.get("licence", description.get("license", ""))),
                split=image.split,
            )
        )
    return sources, problems


def _ending(declared: object, directory: Path) -> str:
    if declared is None:
        return ""
    if not isinstance(declared, str) or declared.lower() not in SUFFIXES:
        raise InputError(
            f"{directory / NAME} has file_ending {declared!r}, which is not read", "one of " + ", ".join(SUFFIXES)
        )
    return declared


def _images(directory: Path, ending: str, problems: list[LeftOut]) -> Iterator[_Image]:
    for images, labels, split in _PARTS:
        maps = {_stem(path): path for path in _files(directory / labels, ending)}
        used: set[str] = set()
        for path in _files(directory / images, ending):
            if (match := _CHANNEL.match(_stem(path))) is None:
                reason = "its name does not end in a channel (_0000)"
                problems.append(LeftOut(str(path), reason, "name it CASE_0000, or give --layout folder"))
                continue
            used.add(case := match["case"])
            yield _Image(case, int(match["channel"]), path, maps.get(case), split)
        problems += [
            LeftOut(str(path), "a label map that belongs to no image", f"add {images}/{case}_0000")
            for case, path in maps.items()
            if case not in used
        ]


def _files(folder: Path, ending: str) -> list[Path]:
    endings = (ending.lower(),) if ending else SUFFIXES
    if not folder.is_dir():
        return []
    return sorted(
        path for path in folder.iterdir() if path.name.lower().endswith(endings) and not path.name.startswith(".")
    )


def _stem(path: Path) -> str:
    return path.name[: -len(next(suffix for suffix in _LONGEST_FIRST if path.name.lower().endswith(suffix)))]


_LONGEST_FIRST = sorted(SUFFIXES, key=len, reverse=True)


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells of training cases without a label map, of missing channels, and of another count than declared."""
    description = read_description(directory)
    count = len(channels(description.get("channel_names", description.get("modality")), directory))
    cases: dict[str, list[Source]] = {}
    for source in sources:
        path = Path(source.image)
        cases.setdefault(f"{path.parent.name}/{_stem(path)[: -len('_0000')]}", []).append(source)
    odd = []
    for name, found in cases.items():
        if len(found) < count:
            reason = f"case {name} has {len(found)} of {count} channels"
            odd.append(LeftOut(found[0].image, reason, "see whether the download is whole"))
        if found[0].label is None and not found[0].split:
            odd.append(LeftOut(found[0].image, f"case {name} has no label map", "add it to labelsTr, if there is one"))
    return odd + count_oddity(directory, sum(not found[0].split for found in cases.values()))
