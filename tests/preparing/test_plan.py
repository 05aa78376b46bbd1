"""Planning: the grid from the headers of all scans, channels of 4D files, and what is said of intensities."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from med3dinsight.config import build
from med3dinsight.errors import ConfigError, InputError
from med3dinsight.preparing import plan as planning
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.run import run
from med3dinsight.volumes.nifti import write_nifti
from med3dinsight.volumes.resampling import native_grid
from med3dinsight.workspace.voxel_store import VoxelStore


def write(folder, name, spacing, shape=(8, 10, 6), seed=0):
    array = np.random.default_rng(seed).integers(-900, 900, shape).astype(np.int16)
    write_nifti(folder / f"{name}.nii.gz", array, np.diag([*spacing, 1.0]))
    return array


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    for number, spacing in enumerate([(0.5, 0.75, 3.0), (0.75, 0.5, 5.0), (1.0, 1.0, 2.5)]):
        write(folder, f"s{number}", spacing, seed=number)
    return folder


def test_the_median_of_each_axis_is_the_spacing_of_all(scans, workspace, settings):
    result = run(settings(scans, spacing_mm="median"), workspace)
    cases = VoxelStore(workspace.prepared).cases
    for case in cases.values():
        assert case.spacing_mm == pytest.approx((0.75, 0.75, 3.0))
    assert cases["s0"].shape == (5, 10, 6)
    assert result.plan["spacings_mm"] == {"least": [0.5, 0.5, 2.5], "median": [0.75, 0.75, 3.0], "greatest": [1, 1, 5]}
    assert json.loads((workspace.prepared / "plan.json").read_text())["spacing_mm"] == [0.75, 0.75, 3.0]
    record = json.loads((workspace.prepared / "stage.json").read_text())
    assert record["config"]["spacing_mm"] == [0.75, 0.75, 3.0], "a model prepares new scans as these were"


def test_axes_count_in_the_order_of_the_body_not_of_the_file(tmp_path, workspace, settings):
    turned = np.array([[0, 0, 2.0, 0], [1.0, 0, 0, 0], [0, 4.0, 0, 0], [0, 0, 0, 1]])
    array = np.random.default_rng(0).integers(-900, 900, (6, 5, 4)).astype(np.int16)
    write_nifti(tmp_path / "scans" / "turned.nii", array, turned)
    run(settings(tmp_path / "scans", spacing_mm="median"), workspace)
    case = VoxelStore(workspace.prepared).cases["turned"]
    assert (case.spacing_mm, case.shape) == ((2.0, 1.0, 4.0), (4, 6, 5))


def test_at_its_own_spacing_nothing_is_resampled(scans, workspace, settings):
    run(settings(scans, spacing_mm="own", ct_window=(-900, 900)), workspace)
    store = VoxelStore(workspace.prepared)
    assert store.cases["s1"].spacing_mm == pytest.approx((0.75, 0.5, 5.0))
    array = np.random.default_rng(1).integers(-900, 900, (8, 10, 6))
    expected = np.floor((array + 900) / 1800 * 255 + 0.5)
    assert np.abs(store.volume("s1") - expected).max() <= 1


def test_three_numbers_are_three_spacings(scans, workspace, settings):
    run(settings(scans, spacing_mm=(1, 2, 3)), workspace)
    assert VoxelStore(workspace.prepared).cases["s2"].spacing_mm == pytest.approx((1, 2, 3))
    assert native_grid((8, 10, 6), (1.0, 1.0, 2.5), (1.0, 2.0, 3.0)).shape == (8, 5, 5)


def test_another_scan_that_moves_the_median_prepares_all_again(scans, workspace, settings, prepared_again):
    run(settings(scans, spacing_mm="median"), workspace)
    write(scans, "s3", (0.75, 0.75, 3.0))
    ids = prepared_again()
    run(settings(scans, spacing_mm="median"), workspace)
    assert ids == ["s3"], "the median is what it was"
    for name in ("s4", "s5", "s6"):
        write(scans, name, (2.0, 2.0, 2.0))
    run(settings(scans, spacing_mm="median"), workspace)
    assert ids == ["s3", *(f"s{number}" for number in range(7))]


def test_headers_of_unchanged_scans_are_not_read_again(scans, workspace, settings, monkeypatch):
    run(settings(scans, spacing_mm="median"), workspace)
    monkeypatch.setattr(planning, "read_header", lambda *_: pytest.fail("a header was read"))
    assert run(settings(scans, spacing_mm="median"), workspace).done_before


def test_a_scan_without_a_header_takes_no_part_in_the_plan(scans, workspace, settings):
    (scans / "bad.nii").write_bytes(b"no image")
    result = run(settings(scans, spacing_mm="median"), workspace)
    assert (result.prepared, len(result.left_out)) == (3, 1)
    with (workspace.prepared / "left_out.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["file"], row["reason"]) for row in rows] == [(str(scans / "bad.nii"), result.left_out[0].reason)]
    assert rows[0]["hint"]


@pytest.fixture
def channels(tmp_path):
    array = np.random.default_rng(0).integers(0, 900, (6, 7, 8, 3)).astype(np.int16)
    write_nifti(tmp_path / "scans" / "time.nii.gz", array, np.diag([1.0, 1.0, 2.0, 1.0]))
    write(tmp_path / "scans", "plain", (1.0, 1.0, 1.0))
    return tmp_path / "scans", array


@pytest.mark.parametrize("protocol", ["native", "cube128"])
def test_channels_become_cases(channels, workspace, settings, protocol):
    folder, array = channels
    run(settings(folder, channels="split", spacing_mm="own", protocol=protocol, cube_size=8), workspace)
    store = VoxelStore(workspace.prepared)
    assert sorted(store.cases) == ["plain", "time-c0", "time-c1", "time-c2"]
    assert [store.cases[f"time-c{number}"].channel for number in range(3)] == [0, 1, 2]
    assert len({case.subject for case in store.cases.values() if case.id != "plain"}) == 1
    if protocol == "native":
        low, high = store.cases["time-c1"].window
        expected = np.clip((array[..., 1] - low) / (high - low) * 255, 0, 255)
        assert np.abs(store.volume("time-c1") - expected).max() <= 1


def test_one_channel_is_taken_and_others_are_refused(channels, workspace, settings):
    folder, _ = channels
    assert run(settings(folder), workspace).left_out[0].reason.startswith("time.nii.gz holds 3 channels")
    assert run(settings(folder, channels=2), workspace).left_out == ()
    assert VoxelStore(workspace.prepared).cases["time"].channel == 2
    left_out = run(settings(folder, channels=3), workspace).left_out
    assert "(channel 3)" in left_out[0].file


def test_files_that_are_refused_do_not_move_the_median(channels, workspace, settings):
    folder, _ = channels
    assert run(settings(folder, spacing_mm="median"), workspace).plan["spacing_mm"] == [1, 1, 1]
    assert run(settings(folder, spacing_mm="median", channels=0), workspace).plan["spacing_mm"] == [1, 1, 1.5]


def test_two_cases_of_one_name_are_refused(channels, workspace, settings):
    folder, _ = channels
    write(folder, "time-c1", (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="two cases would be called time-c1"):
        run(settings(folder, channels="split"), workspace)


def test_what_was_normalised_before_is_kept_and_said(tmp_path, workspace, settings):
    array = np.random.default_rng(0).integers(0, 256, (6, 7, 8)).astype(np.uint8)
    write_nifti(tmp_path / "scans" / "a.nii", array, np.eye(4))
    write(tmp_path / "scans", "b", (1.0, 1.0, 1.0))
    result = run(settings(tmp_path / "scans", spacing_mm="own", modality="ct"), workspace)
    store = VoxelStore(workspace.prepared)
    np.testing.assert_array_equal(store.volume("a"), array)
    assert [case.window_rule for case in store.cases.values()] == ["kept 0..255", "hu"]
    assert len(result.notes) == 1
    assert "1 CT scan (a) are no HU but were scaled to 0..255" in result.notes[0]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"spacing_mm": [1, 2]}, "or three of them"),
        ({"spacing_mm": "mean"}, "median"),
        ({"spacing_mm": [1, 1, 0]}, "greater than 0"),
        ({"spacing_mm": True}, "median"),
        ({"channels": -1}, "number of a channel"),
        ({"channels": "all"}, "refuse"),
        ({"engine": "spark"}, "ray"),
        ({"workers": -1}, "greater than or equal to 0"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(values, reason):
    with pytest.raises(ConfigError, match=reason):
        build(PrepareConfig, {"source": ".", **values}, "prepare")
