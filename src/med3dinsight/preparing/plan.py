"""The plan: what the headers of all scans say, and the grid and cases that follow from it; no voxel is read.

The plan is part of a prepared set's identity: where another scan moves the median spacing, all are prepared anew.
``prepared/plan.json`` keeps it, with the headers that it was made from, so that unchanged scans are not opened again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..records import Source
from ..types import Vector3
from ..volumes.reading import read_header
from ..workspace.files import read_json, write_json
from .config import PrepareConfig
from .resuming import source_state

PLAN = "plan.json"
#: Digits of a planned spacing, in mm: headers that differ by rounding give the same plan.
_DIGITS = 4


@dataclass(frozen=True)
class Plan:
    """What will be prepared, and how.

    Attributes:
        config: The settings, with numbers in the place of "median".
        sources: The cases: the scans that were found, those of several channels as the settings say.
        spacings_mm: Least, median and greatest spacing of the scans along x, y, z; empty where it does not matter.
        headers: ``{state of the scan: [spacing, channels]}`` of the headers that were read.
    """

    config: PrepareConfig
    sources: tuple[Source, ...]
    spacings_mm: dict[str, Vector3] = field(default_factory=dict)
    headers: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Returns what ``plan.json`` says."""
        config = self.config.model_dump(mode="json")
        grid = ("cube_size",) if self.config.protocol == "cube128" else ("spacing_mm",)
        names = ("protocol", *grid, "channels", "modality", "ct_window", "mr_normalisation", "mr_percentiles")
        shown = {name: config[name] for name in (*names, "zscore_range", "normalised")}
        return {**shown, "cases": len(self.sources), "spacings_mm": {k: list(v) for k, v in self.spacings_mm.items()}}

    def states(self) -> dict[str, str]:
        """Returns ``{case: state}`` of all cases, see :func:`~med3dinsight.preparing.resuming.source_state`."""
        root = Path(self.config.source).absolute()
        return {source.id: source_state(source, root) for source in self.sources}

    def write(self, folder: Path) -> None:
        """Writes ``plan.json`` with the headers that were read."""
        write_json(folder / PLAN, {**self.as_json(), "headers": self.headers})


def sentence(plan: Mapping[str, Any]) -> str:
    """Says a plan, as ``plan.json`` holds it, in one line.

    Example:
        >>> sentence(Plan(PrepareConfig(source="."), ()).as_json())
        'plan: 0 cases, each a cube of 128 voxels'
    """
    count = f"{plan['cases']} case{'s' if plan['cases'] != 1 else ''}"
    if plan["protocol"] == "cube128":
        return f"plan: {count}, each a cube of {plan['cube_size']} voxels"
    spacing, found = plan["spacing_mm"], plan["spacings_mm"]
    if spacing == "own":
        return f"plan: {count}, each at its own spacing"
    size = " x ".join(f"{edge:g}" for edge in spacing) if isinstance(spacing, list) else spacing
    if not found:
        return f"plan: {count} at {size} mm"
    ranges = " x ".join(f"{low:g}–{high:g}" for low, high in zip(found["least"], found["greatest"], strict=True))
    return f"plan: {count} at {size} mm, the median of the scans ({ranges} mm)"


def make_plan(config: PrepareConfig, sources: Sequence[Source], folder: Path | None) -> Plan:
    """Plans the grid and the cases; headers are read only where the settings ask for what they say.

    Scans whose header cannot be read, and 4D files that are refused, take no part; they are left out when they are
    prepared.

    Args:
        config: The settings.
        sources: The scans that were found.
        folder: The workspace's ``prepared`` folder, where there is one.
    """
    median = config.protocol == "native" and config.spacing_mm == "median"
    if not sources or not (median or config.channels != "refuse"):
        return Plan(config, tuple(sources))
    root = Path(config.source).absolute()
    known = {}
    if folder is not None and (folder / PLAN).exists():
        known = read_json(folder / PLAN).get("headers", {})
    headers: dict[str, Any] = {}
    spacings, cases = [], []
    for source in sources:
        state = source_state(source, root)
        entry = known.get(state) or _header(source)
        if entry is not None:
            headers[state] = entry
            if source.channel is not None or entry[1] == 1 or config.channels != "refuse":
                spacings.append(entry[0])
        cases += _cases(source, config, 1 if entry is None else entry[1])
    found: dict[str, Vector3] = {}
    if median and spacings:
        table = np.array(spacings)
        found = {
            "least": _rounded(table.min(axis=0)),
            "median": _rounded(np.median(table, axis=0)),
            "greatest": _rounded(table.max(axis=0)),
        }
        config = config.model_copy(update={"spacing_mm": found["median"]})
    _refuse_same_names(cases)
    return Plan(config, tuple(cases), found, headers)


def _header(source: Source) -> list[Any] | None:
    try:
        header = read_header(source.image, source.series)
    except (InputError, OSError):
        return None
    return [list(header.spacing_mm), header.num_channels]


def _cases(source: Source, config: PrepareConfig, channels: int) -> list[Source]:
    if source.channel is not None or channels == 1 or config.channels == "refuse":
        return [source]
    if config.channels == "split":
        return [replace(source, id=f"{source.id}-c{number}", channel=number) for number in range(channels)]
    return [replace(source, channel=config.channels)]


def _refuse_same_names(cases: Sequence[Source]) -> None:
    names: set[str] = set()
    for case in cases:
        if case.id in names:
            raise InputError(f"two cases would be called {case.id}", "rename one of the files")
        names.add(case.id)


def _rounded(values: Any) -> Vector3:
    x, y, z = (max(round(float(value), _DIGITS), 10.0**-_DIGITS) for value in values)
    return (x, y, z)
