"""What a check of a folder tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from med3dinsight import datasets
from med3dinsight.errors import ConfigError, InputError
from med3dinsight.volumes.nifti import write_nifti

from .tiny_scans import label, scan, write


def test_everything_is_read_to_its_end_and_what_is_wrong_is_named(tmp_path: Path) -> None:
    scan(tmp_path / "good/image.nii.gz")
    label(tmp_path / "good/label.nii.gz")
    path = scan(tmp_path / "short/image.nii.gz")
    path.write_bytes(path.read_bytes()[:-20])
    scan(tmp_path / "other/image.nii.gz")
    label(tmp_path / "other/label.nii.gz", shape=(8, 9, 9))
    scan(tmp_path / "float/image.nii.gz")
    write_nifti(tmp_path / "float/label.nii.gz", np.full((8, 9, 10), 0.5, dtype=np.float32), np.eye(4))
    told = []
    result = datasets.check("folder", tmp_path, lambda done, total, note="": told.append((done, total)))
    assert [(Path(item.file).relative_to(tmp_path).as_posix(), item.reason[:23]) for item in result.problems] == [
        ("float/label.nii.gz", "label.nii.gz holds valu"),
        ("other/label.nii.gz", "label.nii.gz has (8, 9,"),
        ("short/image.nii.gz", "image.nii.gz is truncat"),
    ]
    assert all(item.hint for item in result.problems)
    assert told == [(number, 4) for number in (1, 2, 3, 4)]
    assert (result.scans, result.subjects, result.labelled) == (1, 1, 1)


def test_label_maps_that_are_empty_or_hold_values_without_a_name_are_told(tmp_path: Path) -> None:
    scan(tmp_path / "a/image.nii.gz")
    label(tmp_path / "a/label.nii.gz", 0)
    scan(tmp_path / "b/image.nii.gz")
    label(tmp_path / "b/label.nii.gz", 1, 4, 9)
    write(tmp_path / "b/label.json", {"1": "liver"})
    assert [problem.reason for problem in datasets.check("folder", tmp_path).problems] == [
        "the label map is empty: every voxel is 0",
        "the label map holds values without a name: 4, 9",
    ]


def test_a_table_of_names_that_is_none_leaves_the_scan_and_its_map(tmp_path: Path) -> None:
    scan(tmp_path / "a/image.nii.gz")
    label(tmp_path / "a/label.nii.gz")
    write(tmp_path / "a/label.json", {"Manual": True})
    result = datasets.check("folder", tmp_path)
    assert [problem.reason[:28] for problem in result.problems] == ["label.json is no label table"]
    assert (result.scans, result.labelled) == (1, 1)


def test_what_the_scans_are_is_told(tmp_path: Path) -> None:
    scan(tmp_path / "a.nii.gz")
    scan(tmp_path / "b.nii.gz")
    write(tmp_path / "notes.txt", "x")
    write(tmp_path / "samples.csv", "image,modality,licence\na.nii.gz,mr,CC0\nb.nii.gz,,CC-BY 4.0\n")
    result = datasets.check("auto", tmp_path)
    assert (result.layout, result.modalities, result.guessed) == ("table", {"ct": 1, "mr": 1}, 1)
    assert (result.licence, result.third_parties) == ("CC-BY 4.0; CC0", "unknown")
    assert result.other_files == 2  # the notes and the table


def test_the_slices_of_a_series_are_no_other_files(tmp_path: Path, dicom_series) -> None:  # type: ignore[no-untyped-def]
    dicom_series(tmp_path / "anna/ct", np.zeros((4, 4, 3), dtype=np.int16))
    write(tmp_path / "anna/notes.txt", "x")
    result = datasets.check("auto", tmp_path)
    assert (result.scans, result.other_files, result.guessed, result.problems) == (1, 1, 0, ())


def test_an_empty_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    result = datasets.check("auto", tmp_path)
    assert [item.reason for item in result.problems] == ["no scan was found"]
    assert (result.scans, result.modalities, result.other_files) == (0, {}, 0)


def test_what_cannot_be_checked_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no layout called bidz") as caught:
        datasets.check("bidz", tmp_path)
    assert caught.value.hint == "did you mean bids?"
    with pytest.raises(InputError, match="does not exist"):
        datasets.check("auto", tmp_path / "gone")
    with pytest.raises(ConfigError, match="has no group"):
        datasets.check("auto", tmp_path, subject_pattern="x")


def test_general_layouts_are_tried_after_public_ones_and_the_folder_at_last() -> None:
    names = datasets.names()
    assert names[-5:] == ["table", "bids", "msd", "nnunet", "folder"]
    assert all(datasets.LAYOUTS[name].facts is None for name in names[-5:])


def test_a_layout_that_may_not_look_into_a_folder_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(directory: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("med3dinsight.datasets.bids.recognises", denied)
    assert datasets.detect(tmp_path) == "folder"


def test_a_given_layout_is_taken_as_it_is(tmp_path: Path) -> None:
    scan(tmp_path / "a.nii.gz")
    write(tmp_path / "samples.csv", "image\n")
    assert datasets.detect(tmp_path) == "table"
    assert datasets.find(tmp_path) == ([], [])
    assert [source.id for source in datasets.find(tmp_path, "folder")[0]] == ["a"]
