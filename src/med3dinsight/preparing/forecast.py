"""What preparing would take: disk, memory and time, from all headers and a few scans that are really prepared.

Nothing is written. Up to three scans, small, middling and large, are prepared in memory; their bytes, seconds and
peak are carried over to the others by the number of voxels.
"""

from __future__ import annotations

import os
import time
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..datasets import detect, find
from ..engines.local import WINDOW
from ..errors import InputError
from ..records import LeftOut, Source
from ..volumes.header import ScanHeader
from ..volumes.layout import check_channel
from ..volumes.reading import read_header
from ..volumes.resampling import Grid
from .config import PrepareConfig
from .item import grid_for
from .left_out import nothing_prepared
from .packing import Packed, pack_source
from .plan import make_plan
from .working import workers_for

#: Scans that are really prepared.
SAMPLED = 3
#: Seconds that a worker takes to start, and bytes of its own, before it prepares anything.
_WORKER_SECONDS, _WORKER_BYTES = 0.6, 110 << 20
#: Bytes that a file takes on disk are a multiple of this.
_BLOCK = 4096


@dataclass(frozen=True)
class _Scan:
    """A scan by its header."""

    source: Source
    header: ScanHeader
    grid: Grid

    @property
    def read(self) -> int:
        """Bytes of its decoded voxels."""
        x, y, z = self.header.shape
        return x * y * z * self.header.itemsize

    @property
    def written(self) -> int:
        """Prepared voxels."""
        x, y, z = self.grid.shape
        return x * y * z


@dataclass(frozen=True)
class _Measured:
    """What one scan took: what was read and written (voxels), and bytes and seconds."""

    scan: _Scan
    seconds: float
    peak: int
    voxels: int
    labels: int


def forecast(config: PrepareConfig, folder: Path | None = None) -> dict[str, Any]:
    """Says what preparing would take with these settings and this number of workers.

    Args:
        config: The settings.
        folder: The workspace's ``prepared`` folder, where there is one.

    Returns:
        ``peak_memory_bytes`` of all processes together, ``disk_bytes`` {``voxels``, ``labels``}, ``seconds`` (wall),
        ``workers``, ``scans``, ``subjects``, ``layout``, ``modalities`` {``ct``, ``mr``, ``unknown``: number of
        scans}, ``plan``, ``left_out`` (as far as headers show it, or the sampled scans) and ``sampled``, the ids of
        the scans that were prepared for it.

    Raises:
        UserError: As for preparing, as far as that can be seen beforehand.
    """
    layout = detect(config.source, config.layout)
    sources, problems = find(config.source, layout, config.subject_pattern)
    plan = make_plan(config, sources, folder)
    scans: list[_Scan] = []
    for source in plan.sources:
        try:
            header = read_header(source.image, source.series)
            check_channel(source.channel, header.num_channels, Path(source.image).name)
            scans.append(_Scan(source, header, grid_for(header.shape, header.spacing_mm, plan.config)))
        except InputError as error:
            problems.append(LeftOut(source.image, error.message, error.hint))
    base = _resident_bytes()
    measured, bad = _measure(scans, plan.config)
    problems += bad.values()
    scans = [scan for scan in scans if scan.source.id not in bad]
    if not measured:
        raise nothing_prepared(config.source, problems, 0)
    workers = workers_for(plan.config, len(scans)) or 1
    return {
        "peak_memory_bytes": _peak(scans, measured, workers, base),
        "disk_bytes": _disk(scans, measured, plan.config),
        "seconds": _seconds(scans, measured, workers),
        "workers": workers,
        "scans": len(scans),
        "subjects": len({scan.source.subject for scan in scans}),
        "layout": layout,
        "modalities": _modalities(scans, plan.config),
        "plan": plan.as_json(),
        "left_out": [asdict(item) for item in problems],
        "sampled": [item.scan.source.id for item in measured],
    }


def _measure(scans: Sequence[_Scan], config: PrepareConfig) -> tuple[list[_Measured], dict[str, LeftOut]]:
    """Prepares a small, a middling and a large scan, labelled ones where there are any; bad ones by their ids."""
    ranked = sorted(scans, key=lambda scan: (scan.read + scan.written, scan.source.id))
    if labelled := [scan for scan in ranked if scan.source.label is not None]:
        ranked = labelled if len(labelled) >= min(SAMPLED, len(ranked)) else [*labelled, *ranked]
    places = dict.fromkeys(round(step * (len(ranked) - 1) / (SAMPLED - 1)) for step in range(SAMPLED)) if ranked else {}
    measured: list[_Measured] = []
    bad: dict[str, LeftOut] = {}
    for place in places:
        try:
            measured.append(_prepare(ranked[place], config))
        except InputError as error:
            source = ranked[place].source
            bad[source.id] = LeftOut(source.image, error.message, error.hint)
    return measured, bad


def _prepare(scan: _Scan, config: PrepareConfig) -> _Measured:
    started = time.perf_counter()
    packed = pack_source(scan.source, config)
    seconds = time.perf_counter() - started
    voxels, labels = _stored_bytes(packed.voxels), _stored_bytes(packed.label)
    del packed
    tracemalloc.start()  # a second time: tracing would spoil the time
    try:
        kept: Packed | None = pack_source(scan.source, config)
        _, peak = tracemalloc.get_traced_memory()
        del kept
    finally:
        tracemalloc.stop()
    return _Measured(scan, seconds, peak, voxels, labels)


def _stored_bytes(content: Any) -> int:
    if content is None:
        return 0
    return len(content) if isinstance(content, bytes) else int(content.nbytes)


def _peak(scans: Sequence[_Scan], measured: Sequence[_Measured], workers: int, base: int) -> int:
    rate = max(item.peak / (item.scan.read + item.scan.written) for item in measured)
    stored = max((item.voxels + item.labels) / item.scan.written for item in measured)
    largest = max(scan.read + scan.written for scan in scans) * rate
    if workers == 1:
        return round(base + largest)
    waiting = WINDOW * workers * max(scan.written for scan in scans) * stored
    return round(base + workers * (_WORKER_BYTES + largest) + waiting)


def _disk(scans: Sequence[_Scan], measured: Sequence[_Measured], config: PrepareConfig) -> dict[str, int]:
    with_labels = [item for item in measured if item.labels]
    voxel_rate = sum(item.voxels for item in measured) / sum(item.scan.written for item in measured)
    label_rate = sum(item.labels for item in with_labels) / max(1, sum(item.scan.written for item in with_labels))
    block = _BLOCK if config.protocol == "native" else 1
    sizes = [(scan.written * voxel_rate, scan.written * label_rate if scan.source.label else 0) for scan in scans]
    voxels, labels = (sum(-(-size[kind] // block) * block for size in sizes) for kind in (0, 1))
    return {"voxels": int(voxels), "labels": int(labels)}


def _seconds(scans: Sequence[_Scan], measured: Sequence[_Measured], workers: int) -> float:
    rate = sum(item.seconds for item in measured) / sum(item.scan.read + item.scan.written for item in measured)
    alone = rate * sum(scan.read + scan.written for scan in scans)
    return round(alone / workers + (_WORKER_SECONDS if workers > 1 else 0), 1)


def _modalities(scans: Sequence[_Scan], config: PrepareConfig) -> dict[str, int]:
    if config.modality != "auto":
        return {config.modality: len(scans)}
    return dict(Counter(scan.header.modality or scan.source.modality or "unknown" for scan in scans))


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):  # not Linux
        return _WORKER_BYTES
