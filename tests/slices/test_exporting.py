"""Slices as PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from med3dinsight.errors import ConfigError
from med3dinsight.slices.config import SlicesConfig
from med3dinsight.slices.exporting import export_slices
from med3dinsight.slices.showing import show_slice
from med3dinsight.workspace import Workspace
from med3dinsight.workspace.provenance import StageRecord, write_record
from med3dinsight.workspace.voxel_store import VoxelStore, VoxelWriter

from .conftest import make_case


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two volumes of noise, anna with and bert without a label map."""
    workspace = Workspace(tmp_path / "work", create=True)
    writer = VoxelWriter(workspace.prepared)
    for seed, (name, shape) in enumerate({"anna": (12, 11, 10), "bert": (8, 8, 30)}.items()):
        voxels = np.random.default_rng(seed).integers(100, 255, shape, dtype=np.uint8)
        label = np.ones(shape, dtype=np.uint16) if name == "anna" else None
        writer.append(make_case(shape, name=name), voxels, label)
    write_record(workspace.prepared, StageRecord("prepare", "", {"protocol": "native"}, {}, 0.0))
    return workspace


def files_of(workspace: Workspace, folder: Path, **changes: Any) -> list[str]:
    written = export_slices(SlicesConfig(**changes), workspace, folder)
    files = [item.file for item in written.slices]
    assert written.written == len(files)
    assert sorted(files) == sorted(path.name for path in folder.iterdir())
    return files


def test_a_file_holds_what_is_shown(workspace: Workspace, tmp_path: Path) -> None:
    (name,) = files_of(
        workspace, tmp_path / "out", case="anna", plane="coronal", index=7, window="-100,300", labels=True
    )
    assert name == "anna_coronal_07.png"
    shown = show_slice(VoxelStore(workspace.prepared), "anna", "coronal", index=7, window=(-100.0, 300.0), labels=True)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / name)), shown.pixels)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"index": "middle"}, [5]),
        ({"index": "all"}, list(range(10))),
        ({"index": "every:4"}, [2, 6]),
        ({"index": "every:99"}, [9]),
        ({"sampling": "uniform", "count": 5}, [1, 3, 5, 7, 9]),
        ({"sampling": "uniform", "count": 99}, list(range(10))),
    ],
)
def test_slices_are_chosen_by_index_or_evenly(
    workspace: Workspace, tmp_path: Path, changes: dict[str, Any], expected: list[int]
) -> None:
    names = files_of(workspace, tmp_path / "out", case="anna", plane="axial", **changes)
    assert names == [f"anna_axial_{index}.png" for index in expected]


def test_all_cases_and_planes_are_written_unless_named(workspace: Workspace, tmp_path: Path) -> None:
    assert len(files_of(workspace, tmp_path / "out")) == 6
    assert len(files_of(workspace, tmp_path / "one", plane="sagittal")) == 2


def test_informative_slices_are_written_and_what_is_missing_is_counted(workspace: Workspace, tmp_path: Path) -> None:
    config = SlicesConfig(case="anna", plane="axial", sampling="informative", count=20)
    written = export_slices(config, workspace, tmp_path / "out")
    assert (written.written, written.unfilled) == (10, 10), "each slice of noise is unlike the others"


def test_a_mistake_is_refused_before_anything_is_written(workspace: Workspace, tmp_path: Path) -> None:
    for changes, message, hint in (
        ({"case": "ana"}, "no prepared case called ana", "did you mean anna?"),
        ({"plane": "axail"}, "no plane called axail", "did you mean axial?"),
        ({"plane": "axial", "index": 12}, "anna has no axial slice 12", "0 to 9"),
        ({"index": -1}, "no axial slice -1", "0 to 9"),
        ({"index": "midle"}, "midle is no index of a slice", "did you mean middle?"),
        ({"index": "every:0"}, "every:0 is no index of a slice", "every:10"),
    ):
        with pytest.raises(ConfigError, match=message) as caught:
            export_slices(SlicesConfig(**changes), workspace, tmp_path / "out")
        assert hint in caught.value.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"window": "5"}, "two numbers"),
        ({"window": "5,1"}, "less than the second"),
        ({"sampling": "uniform"}, "go together"),
        ({"count": 3}, "go together"),
        ({"index": "all", "sampling": "uniform", "count": 3}, "not by both"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        SlicesConfig(**changes)
