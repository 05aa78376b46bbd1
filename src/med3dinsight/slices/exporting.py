"""Slices of prepared volumes as PNG files: one volume in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, suggest
from ..records import Case
from ..types import Plane, Progress, silent
from ..workspace import Workspace
from ..workspace.files import write_bytes
from ..workspace.voxel_store import VoxelStore
from .config import SlicesConfig
from .informative import Informative, informative_indices
from .outline import Outline, find_outline
from .showing import check_index, find_case, find_plane, show

MIDDLE, ALL, EVERY = "middle", "all", "every"


@dataclass(frozen=True)
class WrittenSlice:
    """A picture that was written.

    Attributes:
        case, plane, index: Which slice.
        position_mm: The patient's coordinate (RAS+) of its middle along the plane's axis.
        window: Intensities (HU for CT) shown black and white.
        file: Name in the folder.
    """

    case: str
    plane: str
    index: int
    position_mm: float
    window: tuple[float, float]
    file: str


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        written: How many pictures.
        folder: Where.
        slices: Each of them.
        unfilled: Slices of the counts that nothing informative was left for.
        notes: What is not as asked for, or limits what can be seen.
    """

    written: int
    folder: str
    slices: tuple[WrittenSlice, ...]
    unfilled: int = 0
    notes: tuple[str, ...] = ()


def export_slices(config: SlicesConfig, workspace: Workspace, folder: Path, *, progress: Progress = silent) -> Written:
    """Writes slices as ``CASE_PLANE_INDEX.png``; files of these names are replaced.

    Args:
        config: Which slices, and how.
        workspace: Prepared.
        folder: Where to; made where it does not exist.
        progress: Told the cases.

    Raises:
        ConfigError: There is no such case, plane or slice.
        InputError: The window lies outside of what was prepared.
        WorkspaceError: Nothing is prepared, the folder cannot be written, or labels are asked for and there are none.
    """
    workspace.require(workspace.prepared, "prepare")
    store = VoxelStore(workspace.prepared)
    cases = [find_case(store, config.case)] if config.case is not None else list(store.cases.values())
    planes = list(Plane) if config.plane == ALL else [_plane_or_all(config.plane)]
    # A number that one of many volumes does not have is refused before anything is written.
    for case in cases:
        for plane in planes:
            _by_index(config.index, case, plane)
    slices: list[WrittenSlice] = []
    notes: dict[str, None] = {}
    unfilled = 0
    for number, case in enumerate(cases):
        volume = store.volume(case.id)
        label = store.label(case.id) if config.labels else None
        outline = find_outline(volume, case) if config.sampling == "informative" else None
        for plane in planes:
            indices = choose_indices(config, volume, case, plane, outline)
            unfilled += (config.count or len(indices)) - len(indices)
            for written, told in _write(config, folder, volume, label, case, plane, indices):
                slices.append(written)
                notes.update(dict.fromkeys(told))
        progress(number + 1, len(cases), case.id)
    return Written(len(slices), str(folder), tuple(slices), unfilled, tuple(notes))


def choose_indices(
    config: SlicesConfig, volume: NDArray[np.uint8], case: Case, plane: Plane, outline: Outline | None
) -> list[int]:
    """Returns the sorted indices of the slices of one plane that are asked for.

    Args:
        config: By index, or by a sampling and a count.
        volume: ``(x, y, z)`` uint8.
        case: Its row.
        plane: Which plane.
        outline: Its body, for informative slices.
    """
    if config.sampling is None or config.count is None:
        return _by_index(config.index, case, plane)
    length = case.shape[plane.axis]
    if config.sampling == "uniform" or outline is None:
        count = min(config.count, length)
        return [(2 * position + 1) * length // (2 * count) for position in range(count)]
    return informative_indices(volume, case, outline, plane, config.count, Informative(seed=config.seed))


def _by_index(index: str, case: Case, plane: Plane) -> list[int]:
    length = case.shape[plane.axis]
    word, _, step = index.partition(":")
    if index == MIDDLE:
        return [length // 2]
    if index == ALL:
        return list(range(length))
    if word == EVERY and step.isascii() and step.isdigit() and int(step) > 0:
        return list(range(min(int(step) // 2, length - 1), length, int(step)))
    if index.lstrip("-").isascii() and index.lstrip("-").isdigit():
        return [check_index(case, plane, int(index))]
    hint = suggest(word, (MIDDLE, ALL, EVERY))
    raise ConfigError(f"{index} is no index of a slice", f"{hint}; give a number, middle, all, or every:K as every:10")


def _plane_or_all(name: str) -> Plane:
    known = [*(plane.name.lower() for plane in Plane), ALL]
    if name.lower() not in known:
        raise ConfigError(f"no plane called {name}", suggest(name.lower(), known))
    return find_plane(name)


def _write(
    config: SlicesConfig,
    folder: Path,
    volume: NDArray[np.uint8],
    label: NDArray[np.uint16] | None,
    case: Case,
    plane: Plane,
    indices: list[int],
) -> Iterator[tuple[WrittenSlice, tuple[str, ...]]]:
    digits = len(str(case.shape[plane.axis] - 1))
    for index in indices:
        how = (config.window, config.marks, label, config.scale)
        shown = show(volume, case, plane, index, *how)
        name = f"{case.id}_{plane.name.lower()}_{index:0{digits}d}.png"
        write_bytes(folder / name, shown.png())
        position = round(shown.position_mm, 3)
        yield WrittenSlice(case.id, plane.name.lower(), index, position, shown.window, name), shown.notes
