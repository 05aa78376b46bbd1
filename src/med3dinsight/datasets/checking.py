"""What is wrong with a source folder: every scan and label map is read to its end."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..records import LeftOut, Source
from ..types import Modality, Progress, silent
from .registry import LAYOUTS, detect, find


@dataclass(frozen=True)
class CheckResult:
    """What a check tells.

    Attributes:
        layout: Name of the layout, given or found out.
        scans: How many scans can be used.
        subjects: How many people they are of.
        labelled: How many of these have a label map.
        modalities: ``{"ct": scans, "mr": scans}``.
        guessed: Of how many scans the modality is only a guess from the intensities.
        licence: Of the scans, where they or the data set say so; several are parted by semicolons.
        third_parties: "allowed", "forbidden" or "unknown": whether services of others may see slices of them.
        other_files: How many files of the folder are no scans or label maps: tables, notes, and what is left alone.
        problems: One entry a problem; empty where all is well.
    """

    layout: str
    scans: int
    subjects: int
    labelled: int
    modalities: dict[str, int]
    guessed: int
    licence: str
    third_parties: str
    other_files: int
    problems: tuple[LeftOut, ...]


def check(name: str, directory: Path | str, progress: Progress = silent, *, subject_pattern: str = "") -> CheckResult:
    """Reads every scan and label map of a folder to its end and says what is wrong with them.

    Args:
        name: Name of a layout, or ``"auto"``.
        directory: The folder, or a table of scans.
        progress: Told about every scan.
        subject_pattern: See :func:`med3dinsight.datasets.find`.

    Raises:
        ConfigError: No layout has that name, or the pattern is none.
        InputError: There is no such folder, or it has not that layout.
    """
    layout, root = detect(directory, name), Path(directory).absolute()
    sources, problems = find(directory, layout, subject_pattern)
    if (oddities := LAYOUTS[layout].oddities) is not None:
        problems += oddities(root, sources)
    problems += _split_people(sources)
    if not sources and not problems:
        problems.append(LeftOut(str(directory), "no scan was found", "give a folder of NIfTI, NRRD, MHA or DICOM"))
    sound: list[tuple[Source, Modality, bool]] = []
    for done, source in enumerate(sources, start=1):
        odd, modality, guessed = _read(source)
        problems += odd
        if modality is not None:
            sound.append((source, modality, guessed))
        progress(done, len(sources), source.id)
    facts = LAYOUTS[layout].facts
    return CheckResult(
        layout=layout,
        scans=len(sound),
        subjects=len({source.subject for source, _, _ in sound}),
        labelled=sum(source.label is not None for source, _, _ in sound),
        modalities=dict(sorted(Counter(modality for _, modality, _ in sound).items())),
        guessed=sum(guessed for _, _, guessed in sound),
        licence="; ".join(sorted({source.licence for source, _, _ in sound if source.licence})),
        third_parties="unknown" if facts is None else facts.third_parties,
        other_files=_count_others(root, sources, problems),
        problems=tuple(problems),
    )


def _read(source: Source) -> tuple[list[LeftOut], Modality | None, bool]:
    """Reads one scan; its modality is None where the scan cannot be used."""
    from ..volumes.intensity import guess_modality
    from ..volumes.reading import read_label, read_volume

    try:
        volume = read_volume(source.image, source.series, source.channel)
    except InputError as error:
        return [LeftOut(source.image, error.message, error.hint)], None, False
    known = volume.modality or source.modality
    modality = known or guess_modality(volume.array)
    if source.label is None:
        return [], modality, known is None
    try:
        label = read_label(source.label, volume)
    except InputError as error:
        return [LeftOut(source.label, error.message, error.hint)], None, False
    present = np.flatnonzero(np.bincount(label.ravel()))
    return _odd_values(source, source.label, present[present > 0].tolist()), modality, known is None


def _odd_values(source: Source, label: str, present: list[int]) -> list[LeftOut]:
    if not present:
        return [LeftOut(label, "the label map is empty: every voxel is 0", "see whether it is the right file")]
    unnamed = [str(value) for value in present if value not in {named for named, _ in source.label_names}]
    if not source.label_names or not unnamed:
        return []
    reason = f"the label map holds values without a name: {', '.join(unnamed[:8])}{', ...' if unnamed[8:] else ''}"
    return [LeftOut(label, reason, "see whether it is the right file, or add them to the table of names")]


def _split_people(sources: list[Source]) -> list[LeftOut]:
    first: dict[str, Source] = {}
    odd = []
    for source in sources:
        before = first.setdefault(source.subject, source)
        if before.split != source.split:
            reason = f"subject {source.subject} is in {before.split or 'no split'} and in {source.split or 'no split'}"
            odd.append(LeftOut(source.image, reason, "keep all scans of a person on one side"))
    return odd


def _count_others(root: Path, sources: list[Source], problems: list[LeftOut]) -> int:
    """Counts the files below a folder that nobody has spoken of."""
    known = {name for source in sources for name in (source.image, source.label)} | {item.file for item in problems}
    stems = {os.path.splitext(name)[0] for name in known if name is not None}
    count = 0
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".") and os.path.join(folder, name) not in known]
        if folder not in known:  # the folder of a DICOM series is one scan
            paths = (os.path.join(folder, name) for name in files if not name.startswith("."))
            count += sum(path not in known and not _is_part(path, stems) for path in paths)
    return count


def _is_part(path: str, stems: set[str]) -> bool:
    """Says whether a file holds the voxels of a header beside it."""
    stem, suffix = os.path.splitext(path)
    return suffix.lower() in (".img", ".raw", ".zraw") and stem in stems
