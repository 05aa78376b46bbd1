"""A task of the Medical Segmentation Decathlon: ``dataset.json`` names every image and its label map.

A task with several modalities has 4D images: each channel becomes a scan of its own, with the subject and the
label map of its case. A case is a subject unless a pattern says otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..records import LeftOut, Source
from ..volumes.reading import SUFFIXES
from .dataset_json import NAME, channels, count_oddity, entry, inside, label_names, read_description
from .modalities import modality_of
from .naming import compile_subject_pattern, safe_id, subject_of, unique_id
from .walking import is_there


def recognises(directory: Path) -> bool:
    """Says whether ``dataset.json`` lists images that are there under these very names.

    The first version of nnU-Net has the same list, but files that are called ``CASE_0000``.
    """
    if not (directory / NAME).is_file():
        return False
    try:
        description = read_description(directory)
    except InputError:
        return False
    named = _named(directory, {"training": description.get("training")})
    return "channel_names" not in description and any(is_there(path) for path in named[:20])


def _named(directory: Path, description: dict[str, Any]) -> list[Path]:
    """Returns the paths of the images, of the entries that can be used."""
    found = []
    for key in ("training", "test"):
        for item in listed if isinstance(listed := description.get(key), list) else []:
            with contextlib.suppress(InputError):
                found.append(_paths(directory, item)[0])
    return found


def find(directory: Path, subject_pattern: str = "") -> tuple[list[Source], list[LeftOut]]:
    """Lists every channel of every image that ``dataset.json`` names; images of its list ``test`` have that split.

    Args:
        directory: The folder of one task.
        subject_pattern: See :func:`med3dinsight.datasets.find`.

    Raises:
        ConfigError: The pattern is none.
        InputError: ``dataset.json`` cannot be used.
    """
    pattern = compile_subject_pattern(subject_pattern)
    description = read_description(directory)
    sequences = channels(entry(description, "modality", dict, directory), directory)
    values = label_names(description.get("labels", {}), directory)
    sources: list[Source] = []
    problems: list[LeftOut] = []
    taken: set[str] = set()
    for item, split in _items(description, directory):
        try:
            image, label = _paths(directory, item)
        except InputError as error:
            problems.append(LeftOut(str(directory / NAME), error.message, error.hint))
            continue
        if missing := [path for path in (image, label) if path is not None and not is_there(path)]:
            relative = missing[0].relative_to(directory).as_posix()
            reason = f"{relative} of {NAME} is missing"
            problems.append(LeftOut(str(missing[0]), reason, "see whether the download is whole"))
            continue
        relative, case = image.relative_to(directory).as_posix(), safe_id(image.name)
        for number, sequence in enumerate(sequences):
            sources.append(
                Source(
                    id=unique_id(case if len(sequences) == 1 else f"{case}_{number:04d}", taken),
                    subject=subject_of(relative, pattern, case),
                    image=str(image),
                    channel=None if len(sequences) == 1 else number,
                    label=None if label is None else str(label),
                    label_names=() if label is None else values,
                    modality=modality_of(sequence),
                    origin=str(description.get("name", "")),
                    licence=str(description.get("licence", description.get("license", ""))),
                    split=split,
                )
            )
    return sources, problems


def _items(description: dict[str, Any], directory: Path) -> Iterator[tuple[object, str]]:
    for item in entry(description, "training", list, directory):
        yield item, ""
    tests = description.get("test", [])
    for item in tests if isinstance(tests, list) else []:
        yield item, "test"


def _paths(directory: Path, item: object) -> tuple[Path, Path | None]:
    if not isinstance(item, dict):
        return inside(directory, item), None
    label = item.get("label")
    return inside(directory, item.get("image")), None if label is None else inside(directory, label)


def oddities(directory: Path, sources: list[Source]) -> list[LeftOut]:
    """Tells of images that ``dataset.json`` does not name, and of another count than declared."""
    named = {*_named(directory, read_description(directory))}
    extra = [
        path
        for folder in sorted({path.parent for path in named})
        for path in (sorted(folder.iterdir()) if folder.is_dir() else [])
        if path.name.lower().endswith(SUFFIXES) and not path.name.startswith(".") and path not in named
    ]
    odd = [LeftOut(str(path), f"an image that {NAME} does not name", f"add it to {NAME}, if wanted") for path in extra]
    return odd + count_oddity(directory, len({source.image for source in sources if not source.split}))
