"""Forecasts of disk, memory and time: nothing is written, and they come near what is measured."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import med3dinsight
from med3dinsight.errors import InputError
from med3dinsight.preparing.forecast import forecast
from med3dinsight.preparing.run import run
from med3dinsight.volumes.nifti import write_nifti
from med3dinsight.workspace.overview import bytes_on_disk

PEAK = """
import sys
from pathlib import Path
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.forecast import forecast
from med3dinsight.preparing.run import run
from med3dinsight.workspace import Workspace
config = PrepareConfig(source=sys.argv[1], protocol=sys.argv[3], spacing_mm="own", workers=1)
if sys.argv[4] == "forecast":
    print(forecast(config)["peak_memory_bytes"])
else:
    run(config, Workspace(sys.argv[2], create=True))
    # Not ru_maxrss: that also counts what the parent had when it forked.
    status = Path("/proc/self/status").read_text()
    print(1024 * int(status.split("VmHWM:")[1].split()[0]))
"""


@pytest.fixture
def source(tmp_path) -> Path:
    """Smooth scans of several sizes with noise, every second one labelled."""
    rng = np.random.default_rng(0)
    for number in range(8):
        shape = (40 + 8 * number, 64, 50)
        wave = np.sin(np.indices(shape).sum(axis=0) / 9) * 500 - 300
        array = (wave + rng.normal(0, 20, shape)).astype(np.int16)
        write_nifti(tmp_path / "scans" / f"p{number}" / "a.nii.gz", array, np.eye(4))
        if number % 2:
            write_nifti(tmp_path / "scans" / f"p{number}" / "a_label.nii.gz", (array > 0).astype(np.uint8), np.eye(4))
    return tmp_path / "scans"


@pytest.mark.parametrize(
    "changes", [{"spacing_mm": "own"}, {"spacing_mm": 0.8}, {"protocol": "cube128", "cube_size": 48}]
)
def test_the_disk_that_is_forecast_is_what_is_taken(source, workspace, settings, changes):
    told = forecast(settings(source, **changes))
    assert sorted(path.name for path in workspace.root.iterdir()) == ["workspace.json"], "nothing is written"
    run(settings(source, **changes), workspace)
    folder = workspace.prepared
    if "protocol" in changes:
        taken = {"voxels": (folder / "voxels.u8").stat().st_size}
        taken["labels"] = bytes_on_disk(folder) - taken["voxels"]
    else:
        taken = {"voxels": bytes_on_disk(folder / "volumes"), "labels": bytes_on_disk(folder / "labels")}
    assert told["disk_bytes"]["voxels"] == pytest.approx(taken["voxels"], rel=0.25)
    assert told["disk_bytes"]["labels"] == pytest.approx(taken["labels"], rel=0.25)


def test_a_forecast_tells_what_was_found(source, settings):
    (source / "bad.nii").write_bytes(b"no image")
    cut = source / "p0" / "cut.nii.gz"
    cut.write_bytes((source / "p0" / "a.nii.gz").read_bytes()[:-40])
    told = forecast(settings(source, spacing_mm="median", workers=2))
    assert (told["subjects"], told["layout"], told["workers"]) == (8, "folder", 2)
    assert told["modalities"] == {"unknown": told["scans"]}
    assert "bad.nii" in {Path(item["file"]).name for item in told["left_out"]}
    assert told["plan"]["spacing_mm"] == [1, 1, 1]
    assert 1 <= len(told["sampled"]) <= 3
    assert told["seconds"] > 0


def test_a_forecast_names_files_of_several_channels(source, settings):
    write_nifti(source / "time.nii.gz", np.random.default_rng(0).integers(0, 900, (9, 9, 9, 2), np.int16), np.eye(4))
    told = forecast(settings(source))
    assert [Path(item["file"]).name for item in told["left_out"]] == ["time.nii.gz"]
    assert told["scans"] == 8
    split = forecast(settings(source, channels="split"))
    assert (split["left_out"], split["scans"]) == ([], 10)


def test_more_workers_take_more_memory(source, settings):
    one, three = (forecast(settings(source, workers=workers)) for workers in (1, 3))
    assert three["peak_memory_bytes"] > one["peak_memory_bytes"] + 200 * 2**20


def test_what_preparing_refuses_the_forecast_refuses(tmp_path, settings):
    with pytest.raises(InputError, match="does not exist"):
        forecast(settings(tmp_path / "nowhere"))
    (tmp_path / "scans").mkdir()
    with pytest.raises(InputError, match="no scan was found"):
        forecast(settings(tmp_path / "scans"))
    (tmp_path / "scans" / "a.nii").write_bytes(b"no image")
    with pytest.raises(InputError, match="nothing could be prepared"):
        forecast(settings(tmp_path / "scans"))


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["native", "cube128"])
def test_the_memory_that_is_forecast_is_what_is_taken(tmp_path, protocol):
    rng = np.random.default_rng(0)
    for number, depth in enumerate((60, 120, 200)):
        array = np.zeros((384, 384, depth), dtype=np.int16)
        array[::3] = rng.integers(-900, 900, (128, 1, depth))
        write_nifti(tmp_path / "scans" / f"s{number}.nii.gz", array, np.eye(4))
    environment = {**os.environ, "PYTHONPATH": str(Path(med3dinsight.__file__).parents[1])}
    peaks = [
        int(
            subprocess.run(
                [sys.executable, "-c", PEAK, str(tmp_path / "scans"), str(tmp_path / "work"), protocol, what],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        )
        for what in ("forecast", "run")
    ]
    assert peaks[0] == pytest.approx(peaks[1], rel=0.25), peaks
