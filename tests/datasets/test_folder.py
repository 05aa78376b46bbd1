"""What is found in plain folders and tables."""

from __future__ import annotations

import os
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from med3dinsight import datasets
from med3dinsight.datasets.folder import pair
from med3dinsight.errors import ConfigError, InputError
from med3dinsight.volumes.nifti import write_nifti


def scan(path: Path, labels: bool = False) -> Path:
    array = np.random.default_rng(0).integers(0, 3 if labels else 900, (4, 5, 6)).astype(np.int16)
    write_nifti(path, array, np.eye(4))
    return path


def found(folder, **options):
    sources, problems = datasets.find(folder, **options)
    rows = {
        source.id: (
            source.subject,
            Path(source.image).relative_to(folder).as_posix(),
            source.label and Path(source.label).relative_to(folder).as_posix(),
        )
        for source in sources
    }
    return rows, [Path(problem.file).name for problem in problems]


def test_scans_are_found_at_any_depth_and_named_by_their_path(tmp_path):
    for name in ("a.nii", "Anna B/x.nii.gz", "Anna B/day 2/x.nii.gz", "bert/ct/y.mha", ".hidden/z.nii", "bert/._w.nii"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "notes.txt").write_text("x")
    assert found(tmp_path) == (
        {
            "a": ("a", "a.nii", None),
            "Anna_B-x": ("Anna B", "Anna B/x.nii.gz", None),
            "Anna_B-day_2-x": ("Anna B", "Anna B/day 2/x.nii.gz", None),
            "bert-ct-y": ("bert", "bert/ct/y.mha", None),
        },
        [],
    )


def test_names_that_become_the_same_are_told_apart(tmp_path):
    for name in ("a.nii", "a.mha", "a.nii.gz"):
        (tmp_path / name).write_bytes(b"")
    assert sorted(found(tmp_path)[0]) == ["a", "a-2", "a-3"]


def test_a_series_of_dicom_files_is_one_scan(tmp_path, dicom_series):
    voxels = np.zeros((4, 4, 3), dtype=np.int16)
    for paths in (dicom_series(tmp_path / "anna/ct", voxels), dicom_series(tmp_path / "bert", voxels)):
        for path in paths:
            path.rename(path.with_suffix(""))  # known by its content, not by its name
    rows, problems = found(tmp_path)
    assert rows == {"anna-ct": ("anna", "anna/ct", None), "bert": ("bert", "bert", None)}
    assert problems == []


def test_a_series_that_lies_in_the_folder_itself_is_named_after_it(tmp_path, dicom_series):
    dicom_series(tmp_path / "Anna 1", np.zeros((4, 4, 3), dtype=np.int16))
    (source,), problems = datasets.find(tmp_path / "Anna 1")
    assert (source.id, source.subject, source.image) == ("Anna_1", "Anna_1", str(tmp_path / "Anna 1"))
    assert problems == []


def test_a_workspace_among_the_scans_is_left_alone(tmp_path):
    scan(tmp_path / "a.nii")
    scan(tmp_path / "work" / "finetuning" / "predictions" / "a.nii.gz")
    (tmp_path / "work" / "workspace.json").write_text("{}")
    assert list(found(tmp_path)[0]) == ["a"]
    with pytest.raises(InputError, match="is a workspace, no folder of scans"):
        datasets.find(tmp_path / "work")


def test_the_label_map_beside_a_series_belongs_to_it(tmp_path, dicom_series):
    dicom_series(tmp_path / "anna/image", np.zeros((4, 4, 3), dtype=np.int16))
    scan(tmp_path / "anna/label.nii.gz")
    assert found(tmp_path)[0] == {"anna-image": ("anna", "anna/image", "anna/label.nii.gz")}


def test_label_maps_are_paired_by_name(tmp_path):
    names = ["a.nii", "a_seg.nii", "b_image.nii.gz", "b_label.nii.gz", "c.nii", "c-Mask.nrrd", "d.nii", "e_labels.nii"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    rows, problems = found(tmp_path)
    assert {image: label for _, image, label in rows.values()} == {
        "a.nii": "a_seg.nii",
        "b_image.nii.gz": "b_label.nii.gz",
        "c.nii": "c-Mask.nrrd",
        "d.nii": None,
    }
    assert problems == ["e_labels.nii"]


def test_one_image_and_one_label_map_in_a_folder_belong_together():
    assert pair([Path("t1.nii")], [Path("segmentation.nii")]) == ([(Path("t1.nii"), Path("segmentation.nii"))], [])
    assert pair([Path("t1.nii"), Path("t2.nii")], [Path("seg.nii")])[1] == [Path("seg.nii")]


def test_a_pattern_takes_the_subject_out_of_the_path(tmp_path):
    for name in ("ct/sub-01_a.nii", "ct/sub-02_a.nii", "mr/sub-01_a.nii", "mr/other.nii"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    rows, _ = found(tmp_path, subject_pattern=r"(sub-\d+)")
    assert [subject for subject, _, _ in rows.values()] == ["sub-01", "sub-02", "mr", "sub-01"]


@pytest.mark.parametrize(("pattern", "reason"), [("(", "subject_pattern"), ("sub", "has no group")])
def test_a_pattern_that_is_none_is_refused(tmp_path, pattern, reason):
    with pytest.raises(ConfigError, match=reason):
        datasets.find(tmp_path, subject_pattern=pattern)


def test_a_folder_or_layout_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        datasets.find(tmp_path / "nothing")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="cannot be read"):
        datasets.find("x" * 5000)
    with pytest.raises(InputError, match="is no folder"):
        datasets.find(tmp_path / "file")
    for empty in ("", " "):
        with pytest.raises(InputError, match="is an empty name"):
            datasets.find(empty)
    with pytest.raises(ConfigError) as caught:
        datasets.find(tmp_path, "foldr")
    assert caught.value.hint == "did you mean folder?"


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_label_maps_in_a_folder_of_their_own_belong_to_the_images_beside_it(tmp_path):
    touch(tmp_path, "images/a.nii", "images/b_img.nii", "labels/a.nii", "labels/b_label.nii", "labels/c.nii")
    touch(tmp_path, "anna/ct.nii", "anna/masks/ct.nii", "anna/masks/mr.nii")
    rows, problems = found(tmp_path)
    assert {image: label for _, image, label in rows.values()} == {
        "anna/ct.nii": "anna/masks/ct.nii",
        "images/a.nii": "labels/a.nii",
        "images/b_img.nii": "labels/b_label.nii",
    }
    assert problems == ["c.nii", "mr.nii"]


def test_a_top_folder_that_only_says_what_is_in_it_is_no_subject(tmp_path):
    touch(tmp_path, "images/a.nii", "train/anna/x.nii", "Scans/data/bert/day/x.nii", "imagesTr/c/x.nii", "clara/x.nii")
    rows, _ = found(tmp_path)
    assert sorted(subject for subject, _, _ in rows.values()) == ["a", "anna", "bert", "c", "clara"]


def test_links_are_followed_out_of_the_folder_and_never_in_circles(tmp_path):
    touch(tmp_path, "set/anna/x.nii", "store/bert/y.nii")
    (tmp_path / "set/anna/up").symlink_to(tmp_path / "set")
    (tmp_path / "set/again").symlink_to(tmp_path / "set/anna")
    (tmp_path / "set/bert").symlink_to(tmp_path / "store/bert")
    (tmp_path / "set/twice").symlink_to(tmp_path / "store/bert")
    (tmp_path / "store/bert/back").symlink_to(tmp_path / "store")
    (tmp_path / "set/self").symlink_to(tmp_path / "set/self")
    (tmp_path / "set/gone.nii").symlink_to(tmp_path / "nowhere.nii")
    rows, problems = found(tmp_path / "set")
    assert sorted(image for _, image, _ in rows.values()) == ["anna/x.nii", "bert/y.nii", "gone.nii"]
    assert problems == []
    told = {Path(item.file).name: item.reason for item in datasets.check("folder", tmp_path / "set").problems}
    assert "is missing" in told["gone.nii"]


def test_a_folder_that_cannot_be_read_is_named_and_the_rest_is_listed(tmp_path, monkeypatch):
    touch(tmp_path, "anna/x.nii", "bert/x.nii")
    real = os.scandir

    def scandir(path):
        if Path(path).name == "anna":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    sources, (problem,) = datasets.find(tmp_path, "folder")
    assert [source.id for source in sources] == ["bert-x"]
    assert problem.reason == "the folder cannot be read: Permission denied"


def test_what_is_no_file_and_what_cannot_be_read_is_named(tmp_path):
    touch(tmp_path, "a.nii", "brain.mgz", "no.dcm", "notes", "x.json", "y.txt", "z.xml")
    os.mkfifo(tmp_path / "pipe.nii")
    rows, problems = found(tmp_path)
    assert (list(rows), sorted(problems)) == (["a"], ["brain.mgz", "no.dcm", "pipe.nii"])


def test_a_pair_of_header_and_voxels_is_one_scan(tmp_path):
    for name in ("a", "B"):
        nib.save(nib.AnalyzeImage(np.ones((4, 5, 6), dtype=np.int16), np.eye(4)), tmp_path / f"{name}.hdr")
    (tmp_path / "B.img").rename(tmp_path / "B.IMG")
    touch(tmp_path, "alone.img")
    rows, problems = found(tmp_path)
    assert ({row[1] for row in rows.values()}, problems) == ({"a.hdr", "B.hdr"}, ["alone.img"])
    result = datasets.check("folder", tmp_path)
    assert (result.other_files, result.problems[0].reason) == (0, "the voxels of a pair, and alone.hdr is missing")


def test_ids_are_safe_unique_and_of_a_length_that_files_may_have(tmp_path):
    long = "/".join(["a" * 100] * 5)
    touch(tmp_path, "A/x.nii", "a/X.nii", f"{long}/1.nii", f"{long}/2.nii", "Zoë Łuk/ü 1.nii", "b:*?.nii")
    rows, _ = found(tmp_path)
    assert len({name.casefold() for name in rows}) == 6
    assert max(len(name.encode()) for name in rows) <= 130
    assert {"A-x", "a-X-2", "Zoë_Łuk-ü_1", "b___"} <= set(rows)


def test_ten_thousand_files_are_listed_in_about_a_second(tmp_path):
    for person in range(100):
        (tmp_path / f"p{person}").mkdir()
        for number in range(50):
            (tmp_path / f"p{person}/{number}.nii.gz").touch()
            (tmp_path / f"p{person}/{number}_seg.nii.gz").touch()
    started = time.process_time()
    sources, problems = datasets.find(tmp_path)
    assert (len(sources), sum(source.label is not None for source in sources), problems) == (5000, 5000, [])
    assert time.process_time() - started < 2.5


def test_data_sets_inside_and_one_subject_for_all_are_told(tmp_path):
    for name in ("a", "b", "c", "d"):
        scan(tmp_path / f"Dataset001/imagesTr/{name}_0000.nii.gz")
    (tmp_path / "Dataset001/dataset.json").write_text("{}")
    assert [problem.reason for problem in datasets.check("auto", tmp_path).problems] == [
        "a data set with a description of its own lies in this folder",
        "all 4 scans are of one subject, Dataset001",
    ]
