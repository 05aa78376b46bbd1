"""Tiny scans and label maps, of which replicas of data sets are made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from med3dinsight import datasets

SHAPE = (8, 9, 10)


def scan(path: Path, channels: int = 0) -> Path:
    """Writes a scan, or a 4D one with as many channels; every scan of a test is another one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (*SHAPE, channels) if channels else SHAPE
    seed = np.frombuffer(path.as_posix().encode().ljust(8), np.uint8)
    values = np.random.default_rng(seed).integers(-900, 900, shape).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)
    return path


def label(path: Path, *values: int, shape: tuple[int, ...] = SHAPE) -> Path:
    """Writes a label map with the values 1 and 2, or those given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    map_ = np.zeros(shape, dtype=np.uint8)
    for place, value in enumerate(values or (1, 2)):
        map_[place + 1, 2:4, 3] = value
    nib.save(nib.Nifti1Image(map_, np.eye(4)), path)
    return path


def write(path: Path, content: Any) -> Path:
    """Writes text as it is, anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def rows(folder: Path, layout: str = "auto", **options: Any) -> dict[str, tuple[Any, ...]]:
    """Returns subject, image and label map of each scan, the paths below the folder."""

    def below(name: str | None) -> str | None:
        return None if name is None else Path(name).relative_to(folder).as_posix()

    sources, _ = datasets.find(folder, layout, **options)
    return {source.id: (source.subject, below(source.image), below(source.label)) for source in sources}


def reasons(folder: Path, layout: str = "auto") -> dict[str, str]:
    """Returns the reason for each file that was left out, by its path below the folder."""
    _, problems = datasets.find(folder, layout)
    assert all(problem.reason and problem.hint for problem in problems)
    return {Path(problem.file).relative_to(folder).as_posix(): problem.reason for problem in problems}
