"""Scans made on the fly, and how the tests of preparing look at a workspace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.item import prepare_source
from med3dinsight.volumes.nifti import write_nifti
from med3dinsight.workspace import Workspace

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def write_scan(folder: Path, subject: str, *, label: bool = False, seed: int = 0) -> Path:
    """Writes ``subject/image.nii.gz``, 10 x 8 x 6: half air, half tissue, and where asked the tissue as label 3."""
    array = np.random.default_rng(seed).integers(-20, 80, (10, 8, 6)).astype(np.int16)
    array[:5] = -1000
    path = folder / subject / "image.nii.gz"
    write_nifti(path, array, AFFINE)
    if label:
        write_nifti(folder / subject / "label.nii.gz", (array > -500).astype(np.uint8) * 3, AFFINE)
        (folder / subject / "label.json").write_text('{"3": "tissue"}')
    return path


@pytest.fixture
def scan() -> Callable[..., Path]:
    """Writes a scan: ``scan(folder, subject, label=..., seed=...)``."""
    return write_scan


@pytest.fixture
def source(tmp_path) -> Path:
    """A folder with scans of three people, two of them labelled."""
    folder = tmp_path / "scans"
    for number, subject in enumerate(("anna", "bert", "cleo")):
        write_scan(folder, subject, label=subject != "bert", seed=number)
    return folder


@pytest.fixture
def workspace(tmp_path) -> Workspace:
    """An empty workspace."""
    return Workspace(tmp_path / "work", create=True)


@pytest.fixture
def settings() -> Callable[..., PrepareConfig]:
    """Settings with one spacing of 2 mm, in this process: ``settings(source, **changes)``."""

    def make(source: Path, **changes) -> PrepareConfig:
        return PrepareConfig(source=str(source), **{"protocol": "native", "spacing_mm": 2.0, "workers": 1, **changes})

    return make


@pytest.fixture
def content() -> Callable[[Workspace], dict[str, bytes]]:
    """All that preparing left in a workspace but its record."""

    def read(workspace: Workspace) -> dict[str, bytes]:
        files = sorted(path for path in workspace.prepared.rglob("*") if path.is_file() and path.name != "stage.json")
        return {str(path.relative_to(workspace.prepared)): path.read_bytes() for path in files}

    return read


@pytest.fixture
def prepared_again(monkeypatch) -> Callable[[], list[str]]:
    """Watches which scans are prepared from now on: ``ids = prepared_again()``."""

    def watch() -> list[str]:
        ids: list[str] = []

        def watched(source, config):
            ids.append(source.id)
            return prepare_source(source, config)

        monkeypatch.setattr(sys.modules["med3dinsight.preparing.packing"], "prepare_source", watched)
        return ids

    return watch
