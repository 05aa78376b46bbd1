"""P12: growth. Preparing, captioning and embedding 10, 100 and 1000 volumes: seconds a volume and peak memory.

Volumes of 96 x 96 x 60 are made on the fly as .nii.gz, in a folder that is removed at the end. Every count runs in a
process of its own, with one thread, after a warm-up on one volume; its peak is that of memory of its own, looked at
every 20 ms: pages of the mapped store belong to the system, which takes them back when it needs them. Time is linear
where seconds a volume at the largest count are those at the smallest, memory is constant where the peaks are. Two
workers are timed against one in turn at the largest count, three times each, with all that starting them takes.

    python benchmarks/p12_growth.py              10, 100, 1000 for preparing; 10, 30, 100 for captions and features
    python benchmarks/p12_growth.py 10 100       other counts for preparing

There is no peer: ``peer`` is the smallest count, ``ratio`` the largest count's seconds a volume over it. Prints one
JSON line.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

COUNTS = [10, 100, 1000]
LATER_COUNTS = [10, 30, 100]
SHAPE = (96, 96, 60)
ROUNDS = 3
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def make_scans(folder: Path, count: int) -> None:
    """Writes a body of soft tissue, lungs and noise, each moved a little."""
    import numpy as np

    from med3dinsight.volumes.nifti import write_nifti

    rng = np.random.default_rng(0)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, length) for length in SHAPE), indexing="ij")
    body = np.full(SHAPE, -1000.0)
    body[x**2 + 1.6 * y**2 < 0.8] = 40
    body[((np.abs(x) - 0.4) ** 2 * 9 + y**2 * 4 + z**2 < 0.7) & (x**2 + 1.6 * y**2 < 0.7)] = -800
    scan = (body + rng.normal(0, 15, SHAPE)).astype(np.int16)
    for number in range(count):
        moved = np.roll(scan, number % 7, axis=2)
        moved[0, 0, 0] = -1000 + number % 500
        write_nifti(folder / f"p{number:04d}" / "scan.nii.gz", moved, np.diag([3.5, 3.5, 5.0, 1.0]))


def measure(stage: str, source: Path, work: Path, workers: int) -> None:
    """Runs in the child: one stage, after a warm-up on one volume; prints seconds and peak."""
    from med3dinsight.workspace import Workspace

    warm = work.parent / "warm"
    run(stage, source.parent / "one", Workspace(warm, create=True), 1)
    workspace = Workspace(work, create=True)
    peaks: list[int] = [0]
    threading.Thread(target=watch_memory, args=(peaks,), daemon=True).start()
    started = time.perf_counter()
    run(stage, source, workspace, workers)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_mib": peaks[0] / 1024}))


def watch_memory(peaks: list[int]) -> None:
    """Keeps the peak of the process's own memory, in KiB."""
    while True:
        status = Path("/proc/self/status").read_text()
        peaks[0] = max(peaks[0], int(status.split("RssAnon:")[1].split()[0]))
        time.sleep(0.02)


def run(stage: str, source: Path, workspace: object, workers: int) -> None:
    """Runs a stage of a workspace."""
    if stage == "prepare":
        from med3dinsight.preparing.config import PrepareConfig
        from med3dinsight.preparing.run import run as prepare

        prepare(PrepareConfig(source=str(source), workers=workers), workspace)
    elif stage == "prepare native":
        from med3dinsight.preparing.config import PrepareConfig
        from med3dinsight.preparing.run import run as prepare

        prepare(PrepareConfig(source=str(source), workers=workers, protocol="native", spacing_mm=3.5), workspace)
    elif stage == "caption":
        from med3dinsight.captions.config import CaptionConfig
        from med3dinsight.captions.run import run as caption

        caption(CaptionConfig(captioner="tissue", positions_per_plane=4), workspace)
    else:
        from med3dinsight.features.config import EmbedConfig
        from med3dinsight.features.run import run as embed

        embed(EmbedConfig(towers="minilm-lite"), workspace)


def child(stage: str, source: Path, work: Path, workers: int = 1) -> dict[str, float]:
    """Runs :func:`measure` in a process of its own."""
    words = [sys.executable, __file__, "--measure", stage, str(source), str(work), str(workers)]
    done = subprocess.run(words, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{stage} failed:\n{done.stderr}")
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return row


def grow(root: Path, stages: list[str], counts: list[int]) -> dict[str, dict[str, list[float]]]:
    """Runs stages one after another for each count."""
    rows: dict[str, dict[str, list[float]]] = {
        stage: {"volumes": [], "seconds_a_volume": [], "peak_mib": []} for stage in stages
    }
    for count in counts:
        work = root / f"{stages[0].replace(' ', '-')}-{count}" / "work"
        for stage in stages:
            row = child(stage, root / f"scans{count}", work)
            values = (count, round(row["seconds"] / count, 4), round(row["peak_mib"], 1))
            for name, value in zip(rows[stage], values, strict=True):
                rows[stage][name].append(value)
            print(f"{stage} {count}: {values[1]} s a volume, {values[2]} MiB", file=sys.stderr)
    return rows


def compare_workers(root: Path, stage: str, count: int) -> dict[str, object]:
    """Times one and two workers in turn."""
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(ROUNDS):
        for workers, values in seconds.items():
            work = root / f"{stage.replace(' ', '-')}-workers{workers}-{turn}" / "work"
            values.append(child(stage, root / f"scans{count}", work, workers)["seconds"])
            shutil.rmtree(work.parent)
    one, two = (statistics.median(values) for values in seconds.values())
    spread = {"one": [round(value, 2) for value in seconds[1]], "two": [round(value, 2) for value in seconds[2]]}
    return {"volumes": count, **spread, "speed_up": round(one / two, 2)}


def growth(rows: dict[str, dict[str, list[float]]], what: str) -> dict[str, float]:
    """The largest count's value over the smallest's, for each stage."""
    return {name: round(values[what][-1] / values[what][0], 3) for name, values in rows.items()}


def main(counts: list[int]) -> None:
    """Measures all, prints the line."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make_scans(root / "one", 1)
        for count in sorted({*counts, *LATER_COUNTS}):
            make_scans(root / f"scans{count}", count)
        rows = {
            **grow(root, ["prepare"], counts),
            **grow(root, ["prepare native"], counts),
            **{
                name: row
                for name, row in grow(root, ["prepare", "caption", "embed"], LATER_COUNTS).items()
                if name != "prepare"
            },
        }
        workers = {
            "prepare": compare_workers(root, "prepare", counts[-1]),
            "prepare native": compare_workers(root, "prepare native", counts[-1]),
        }
    each = rows["prepare"]["seconds_a_volume"]
    row = {
        "goal": "P12",
        "ours": each[-1],
        "peer": each[0],
        "ratio": round(each[-1] / each[0], 2),
        "target": "seconds a volume and peak memory the same at all counts; two workers >= 1.8 times one",
        "others": {},
        "stages": rows,
        "peak_growth": {
            name: round(values["peak_mib"][-1] / values["peak_mib"][0], 3) for name, values in rows.items()
        },
        "time_growth": {
            name: round(values["seconds_a_volume"][-1] / values["seconds_a_volume"][0], 3)
            for name, values in rows.items()
        },
        "workers": workers,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--measure"]:
        stage, source, work, workers = sys.argv[2:]
        measure(stage, Path(source), Path(work), int(workers))
    else:
        main([int(word) for word in sys.argv[1:]] or COUNTS)
