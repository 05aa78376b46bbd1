"""The stage prepare: what it stores and what it leaves out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import med3dinsight
from med3dinsight.config import build
from med3dinsight.errors import ConfigError, InputError
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.run import run
from med3dinsight.volumes.nifti import write_nifti
from med3dinsight.workspace.voxel_store import VoxelStore

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def test_every_scan_becomes_a_row_and_its_voxels(source, workspace, settings):
    told = []
    result = run(settings(source), workspace, progress=lambda done, total, note="": told.append((done, total, note)))
    assert (result.prepared, result.left_out, result.done_before) == (3, (), False)
    assert told == [(1, 3, "anna-image"), (2, 3, "bert-image"), (3, 3, "cleo-image")]
    store = VoxelStore(workspace.prepared)
    case = store.cases["anna-image"]
    assert (case.subject, case.modality, case.modality_guessed) == ("anna", "ct", True)
    assert (case.shape, case.spacing_mm) == ((5, 4, 6), (2.0, 2.0, 2.0))
    assert (case.source_shape, case.source_affine) == ((10, 8, 6), tuple(map(tuple, AFFINE.tolist())))
    assert (case.window, case.label_names) == ((-1000, 1000), ((3, "tissue"),))
    assert Path(case.image) == source / "anna" / "image.nii.gz"
    voxels, label = store.volume("anna-image"), store.label("anna-image")
    assert (voxels[:2] == 0).all()  # air
    assert np.abs(voxels[3:].astype(int) - 131).max() <= 8  # 30 HU is 0.515 of the window
    assert set(np.unique(label)) == {0, 3}
    assert (label[3:] == 3).all()
    assert not store.cases["bert-image"].has_label


def test_the_cube_is_filled_by_the_longest_side(source, workspace, settings):
    run(settings(source, protocol="cube128", cube_size=12), workspace)
    case = VoxelStore(workspace.prepared).cases["anna-image"]
    assert case.shape == (12, 12, 12)
    assert case.spacing_mm == pytest.approx((1.0, 1.0, 1.0))


def test_a_prepared_voxel_lies_in_the_world_where_its_affine_says(tmp_path, workspace, settings):
    affine = np.array([[0, 0, -1.5, 40], [-1.0, 0, 0, 20], [0, 2.0, 0, -9], [0, 0, 0, 1]])
    shape = (20, 16, 12)
    world = np.einsum("ij,jxyz->ixyz", affine, np.stack([*np.indices(shape), np.ones(shape)]))
    write_nifti(tmp_path / "scans" / "a.nii", (world[1] * 10).astype(np.int16), affine)
    run(settings(tmp_path / "scans", modality="ct", ct_window=(-200, 400), normalised="never"), workspace)
    store = VoxelStore(workspace.prepared)
    case = store.cases["a"]
    index = (4, 5, 6)
    y = (np.array(case.affine) @ [*index, 1])[1]
    assert store.volume("a")[index] / 255 * 600 - 200 == pytest.approx(10 * y, abs=3)


def test_bad_files_are_left_out_with_reason_and_hint_and_the_others_go_on(source, workspace, scan, settings):
    nan = np.zeros((4, 4, 4), dtype=np.float32)
    nan[1, 1, 1] = np.nan
    write_nifti(source / "nan.nii", nan, AFFINE)
    write_nifti(source / "time.nii", np.ones((4, 4, 4, 2), dtype=np.int16), AFFINE)
    path = scan(source, "short")
    path.write_bytes(path.read_bytes()[:-30])
    write_nifti(source / "cleo" / "label.nii.gz", np.zeros((10, 8, 5), dtype=np.uint8), AFFINE)
    flat = bytearray(nib.Nifti1Image(np.arange(64, dtype=np.int16).reshape(4, 4, 4), np.eye(4)).to_bytes())
    flat[312:328] = flat[296:312]  # two rows of the affine are the same
    (source / "flat.nii").write_bytes(flat)
    (source / "x_label.nii").write_bytes(b"")
    (source / "y_label.nii").write_bytes(b"")
    result = run(settings(source), workspace)
    assert result.prepared == 2
    reasons = {Path(item.file).relative_to(source).as_posix(): item.reason for item in result.left_out}
    assert {name: reason.split(":")[0] for name, reason in reasons.items()} == {
        "nan.nii": "nan.nii has 1 voxels that are NaN or infinite",
        "time.nii": "time.nii holds 2 channels, not one 3D volume",
        "short/image.nii.gz": "image.nii.gz is truncated or damaged",
        "cleo/image.nii.gz": "label.nii.gz has (10, 8, 5) voxels, its image (10, 8, 6)",
        "flat.nii": "flat.nii has a singular affine",
        "x_label.nii": "a label map that belongs to no image",
        "y_label.nii": "a label map that belongs to no image",
    }
    assert all(item.hint for item in result.left_out)
    again = run(settings(source), workspace)
    assert again.done_before
    assert again.left_out == result.left_out


def test_nothing_usable_is_an_error_that_names_the_first_reason(tmp_path, workspace, settings):
    for name in ("a.nii", "b.nii"):
        (tmp_path / "scans").mkdir(exist_ok=True)
        (tmp_path / "scans" / name).write_bytes(b"no image")
    with pytest.raises(
        InputError, match=r"nothing could be prepared: .*a\.nii is not a NIfTI.* \(1 more file left out"
    ):
        run(settings(tmp_path / "scans"), workspace)
    assert not workspace.prepared.exists()


def test_no_folder_and_no_scan_are_errors_that_write_nothing(tmp_path, workspace, settings):
    with pytest.raises(InputError, match="does not exist"):
        run(settings(tmp_path / "nothing"), workspace)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no scan was found"):
        run(settings(tmp_path / "empty"), workspace)
    assert not workspace.prepared.exists()


def test_the_modality_is_read_before_it_is_guessed(tmp_path, workspace, dicom_series, settings):
    source = tmp_path / "scans"
    dark = np.full((6, 6, 6), -1000, dtype=np.int16)
    dark[3:] = np.random.default_rng(0).integers(0, 90, (3, 6, 6))
    dicom_series(source / "tagged", dark, modality="MR")
    write_nifti(source / "plain.nii", dark, AFFINE)
    bright = np.random.default_rng(0).integers(0, 900, (6, 6, 6)).astype(np.int16)
    write_nifti(source / "bright.nii", bright, AFFINE)
    run(settings(source), workspace)
    cases = VoxelStore(workspace.prepared).cases
    assert {name: (case.modality, case.modality_guessed) for name, case in cases.items()} == {
        "tagged": ("mr", False),
        "plain": ("ct", True),
        "bright": ("mr", True),
    }
    (source / "samples.csv").write_text("image,modality\nplain.nii,mr\n")
    run(settings(source), workspace)
    assert VoxelStore(workspace.prepared).cases["plain"].modality_guessed is False
    run(settings(source, modality="ct"), workspace)
    case = VoxelStore(workspace.prepared).cases["plain"]
    assert (case.modality, case.modality_guessed) == ("ct", False)


def test_the_same_voxels_under_two_names_have_one_hash_and_stay_two_cases(tmp_path, workspace, scan, settings):
    source = tmp_path / "scans"
    for subject, seed in (("anna", 1), ("bert", 1), ("cleo", 2)):
        scan(source, subject, seed=seed)
    run(settings(source), workspace)
    hashes = [case.voxel_sha256 for case in VoxelStore(workspace.prepared).cases.values()]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_result_is_what_the_contract_says(source, workspace, settings):
    run(settings(source), workspace)
    record = json.loads((workspace.prepared / "stage.json").read_text())
    assert {"prepared", "left_out", "workspace", "seconds"} <= set(record["result"])
    assert record["config"]["spacing_mm"] == 2.0


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"ct_window": [400, -400]}, "first number must be less"),
        ({"mr_percentiles": [-1, 99]}, "percentiles are numbers"),
        ({"spacing_mm": 0}, "greater than 0"),
        ({"protocol": "cube64"}, "cube128"),
        ({"spacing": 1}, "unknown setting"),
    ],
)
def test_a_setting_out_of_range_is_refused(values, reason):
    with pytest.raises(ConfigError, match=reason):
        build(PrepareConfig, {"source": ".", **values}, "prepare")


def test_the_room_hands_out_its_run_without_importing_torch():
    code = """
import sys
from med3dinsight import preparing
first, second = preparing.run, preparing.run
assert first is second and first.__module__ == "med3dinsight.preparing.run", (first, second)
assert "torch" not in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(med3dinsight.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


@pytest.mark.network
def test_organs_of_the_sample_keep_their_size_and_density(sample_dir, workspace, settings):
    result = run(settings(sample_dir, spacing_mm=3.0), workspace)
    assert (result.prepared, result.left_out) == (8, ())
    store = VoxelStore(workspace.prepared)
    for person in ("chest_ct", "abdomen_ct"):
        case = store.cases[person]
        stored = nib.load(case.label)
        liver = (np.asarray(stored.dataobj) == 5).sum() * np.prod(stored.header.get_zooms())
        prepared = store.label(person) == 5
        assert prepared.sum() * np.prod(case.spacing_mm) == pytest.approx(liver, rel=0.02)
        density = np.median(store.volume(person)[prepared]) / 255 * 2000 - 1000
        truth = np.median(np.asarray(nib.load(case.image).dataobj)[np.asarray(stored.dataobj) == 5])
        assert density == pytest.approx(truth, abs=8)
    assert [case.modality for case in store.cases.values()].count("mr") == 2
    assert len({case.voxel_sha256 for case in store.cases.values()}) == 8
