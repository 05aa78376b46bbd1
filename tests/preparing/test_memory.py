"""Memory does not grow with the number of volumes, neither where they are prepared nor where they are read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import med3dinsight
from med3dinsight.volumes.nifti import write_nifti

#: Own memory, looked at after every scan; pages of mapped files belong to the system.
CHILD = """
import sys
from pathlib import Path
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.run import run
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.voxel_store import VoxelStore

peak = 0
def look(done, total, note=""):
    global peak
    peak = max(peak, int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]))

source, work, protocol, workers = sys.argv[1:]
config = PrepareConfig(source=source, protocol=protocol, cube_size=64, spacing_mm="own", workers=int(workers))
run(config, Workspace(work, create=True), progress=look)
list(VoxelStore(Path(work) / "prepared").verify(look))
print(peak)
"""


def linked_scans(folder: Path, count: int) -> Path:
    """One scan under many names: 64 x 64 x 64 of noise, so that it does not compress."""
    array = np.random.default_rng(0).integers(-900, 900, (64, 64, 64)).astype(np.int16)
    write_nifti(folder / "one.nii", array, np.eye(4))
    for number in range(count):
        place = folder / f"scans{count}" / f"p{number:04d}"
        place.mkdir(parents=True)
        os.link(folder / "one.nii", place / "a.nii")
    return folder / f"scans{count}"


def peak_mib(source: Path, work: Path, protocol: str, workers: int) -> float:
    environment = {**os.environ, "PYTHONPATH": str(Path(med3dinsight.__file__).parents[1])}
    command = [sys.executable, "-c", CHILD, str(source), str(work), protocol, str(workers)]
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout) / 1024


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "workers"), [("native", 1), ("native", 2), ("cube128", 1), ("cube128", 2)])
def test_memory_is_the_same_for_a_hundred_volumes_and_for_a_thousand(
    tmp_path: Path, protocol: str, workers: int
) -> None:
    """Nine hundred volumes more hold 225 MiB; their rows of the manifest, which are kept, about 5 MiB."""
    few, many = (
        peak_mib(linked_scans(tmp_path, count), tmp_path / f"work{count}", protocol, workers) for count in (100, 1000)
    )
    assert many - few < 20, (few, many)
