"""Folders of DICOM files, alone and mixed with others."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from med3dinsight import datasets
from med3dinsight.datasets.dicom_folders import torn_patients
from med3dinsight.volumes.dicom import list_series
from med3dinsight.volumes.reading import read_volume

from .tiny_scans import label, reasons, rows, scan

Series = Callable[..., list[Path]]


def voxels(seed: int, slices: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(-900, 900, (9, 10, slices)).astype(np.int16)


@pytest.fixture
def two_series(tmp_path: Path, dicom_series: Series) -> Path:
    """A folder with two CT series, one MR series, a series of one slice and a note."""
    folder = tmp_path / "anna/all"
    folder.mkdir(parents=True)
    for name, number, changes in (("a", 8, {}), ("b", 6, {}), ("m", 5, {"modality": "MR"}), ("one", 1, {})):
        for path in dicom_series(tmp_path / "parts" / name, voxels(number, number), **changes):
            shutil.move(path, folder / f"{name}_{path.name}")
    shutil.rmtree(tmp_path / "parts")
    (folder / "note.txt").write_text("x")
    return tmp_path


def test_every_series_of_a_folder_is_a_scan_of_its_own(two_series: Path) -> None:
    sources, problems = datasets.find(two_series)
    assert {source.image for source in sources} == {str(two_series / "anna/all")}
    assert {source.subject for source in sources} == {"anna"}
    assert len({source.id for source in sources}) == len({source.series for source in sources}) == 3
    assert all(source.id.startswith("anna-all_") and len(source.id) == len("anna-all_") + 8 for source in sources)
    slices = {read_volume(source.image, source.series).array.shape[2]: source.modality for source in sources}
    assert slices == {8: "ct", 6: "ct", 5: "mr"}
    assert [problem.reason for problem in problems] == ["a DICOM series of one slice, no volume"]
    assert datasets.check("auto", two_series).modalities == {"ct": 2, "mr": 1}


def test_a_series_without_uid_is_a_scan_beside_others(two_series: Path) -> None:
    for path in two_series.glob("anna/all/b_*"):
        data = pydicom.dcmread(path)
        del data.SeriesInstanceUID
        data.save_as(path)
    sources, problems = datasets.find(two_series)
    assert len(problems) == 1
    assert {read_volume(source.image, source.series).array.shape[2] for source in sources} == {8, 6, 5}
    assert len({source.id for source in sources}) == 3


def test_the_id_of_a_series_does_not_hang_on_the_others(two_series: Path) -> None:
    before = {source.series: source.id for source in datasets.find(two_series)[0]}
    for path in two_series.glob("anna/all/b_*"):
        path.unlink()
    after = {source.series: source.id for source in datasets.find(two_series)[0]}
    assert len(after) == 2
    assert after.items() <= before.items()


def test_a_scout_beside_a_series_leaves_its_id_as_it_is(tmp_path: Path, dicom_series: Series) -> None:
    dicom_series(tmp_path / "anna/ct", voxels(0))
    assert list(rows(tmp_path)) == ["anna-ct"]
    (scout,) = dicom_series(tmp_path / "scout", voxels(1, 1))
    scout.rename(tmp_path / "anna/ct/scout.dcm")
    (source,), (problem,) = datasets.find(tmp_path)
    assert (source.id, Path(problem.file).name) == ("anna-ct", "scout.dcm")
    assert read_volume(source.image, source.series).array.shape == (9, 10, 8)


@pytest.mark.parametrize("modality", ["PT", "SEG", "RTSTRUCT"])
def test_what_is_neither_ct_nor_mr_is_left_out(tmp_path: Path, dicom_series: Series, modality: str) -> None:
    dicom_series(tmp_path / "anna/x", voxels(0), modality=modality)
    assert rows(tmp_path) == {}
    assert reasons(tmp_path) == {"anna/x": f"a DICOM series of modality {modality}, not CT or MR"}


def test_broken_files_are_named_and_the_rest_is_taken(tmp_path: Path, dicom_series: Series) -> None:
    paths = dicom_series(tmp_path / "anna/ct", voxels(0))
    (tmp_path / "anna/ct/noise.dcm").write_bytes(b"x" * 500)
    (tmp_path / "anna/ct/cut.dcm").write_bytes(paths[0].read_bytes()[:150])
    sources, problems = datasets.find(tmp_path)
    assert [source.id for source in sources] == ["anna-ct"]
    assert sorted(Path(problem.file).name for problem in problems) == ["cut.dcm", "noise.dcm"]
    assert read_volume(sources[0].image, sources[0].series).array.shape == (9, 10, 8)


def test_label_maps_beside_or_among_the_slices_belong_to_the_series(tmp_path: Path, dicom_series: Series) -> None:
    for person in ("anna", "bert"):
        dicom_series(tmp_path / person / "ct", voxels(0))
    label(tmp_path / "anna/label.nii.gz")
    label(tmp_path / "bert/ct/seg.nii.gz")
    assert {row[0]: row[2] for row in rows(tmp_path).values()} == {
        "anna": "anna/label.nii.gz",
        "bert": "bert/ct/seg.nii.gz",
    }


def test_a_folder_of_mixed_dicom_and_nifti_is_in_order_but_for_the_lone_slice(two_series: Path) -> None:
    scan(two_series / "bert/t1.nii.gz")
    label(two_series / "bert/t1_seg.nii.gz")
    result = datasets.check("auto", two_series)
    assert (result.layout, result.scans, result.subjects, result.labelled) == ("folder", 4, 2, 1)
    assert [item.reason for item in result.problems] == ["a DICOM series of one slice, no volume"]


def test_one_patient_in_two_folders_is_told_and_the_id_is_not(tmp_path: Path, dicom_series: Series) -> None:
    for seed, (name, patient) in enumerate((("anna", "ID-4711"), ("bert", "ID-4711"), ("cleo", "ID-1"), ("dora", ""))):
        changes = {number: {"PatientID": patient} for number in range(8)}
        dicom_series(tmp_path / name / "ct", voxels(seed), changes=changes)
    problems = datasets.check("auto", tmp_path).problems
    assert [problem.reason for problem in problems] == ["the DICOM files of anna, bert are of one patient"]
    assert "subject_pattern" in problems[0].hint
    assert "4711" not in str(problems) and "4711" not in str(list_series(tmp_path / "anna/ct"))
    assert torn_patients(datasets.find(tmp_path, "folder", r"(/)ct")[0]) == []
