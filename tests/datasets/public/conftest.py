"""Replicas of public data sets."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from public_replicas import REPLICAS


@pytest.fixture(scope="session")
def replicas_made() -> dict[str, Path]:
    """The replicas that tests have asked for so far, each made once."""
    return {}


@pytest.fixture
def replica(tmp_path, tmp_path_factory, dicom_series, replicas_made) -> Callable[[str], Path]:
    """Gives a copy of the replica of a data set, which the test may change: ``folder = replica(name)``."""

    def make(name: str) -> Path:
        if name not in replicas_made:
            root = tmp_path_factory.mktemp("replica") / "data"
            REPLICAS[name](root, *([dicom_series] if name == "chaos_ct" else []))
            replicas_made[name] = root
        return Path(shutil.copytree(replicas_made[name], tmp_path / "data"))

    return make
