"""What is found in plain folders and tables."""

from __future__ import annotations

from pathlib import Path

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


def test_a_table_says_what_the_files_are(tmp_path):
    scan(tmp_path / "x/one.nii.gz")
    scan(tmp_path / "x/one_l.nii.gz", labels=True)
    scan(tmp_path / "two.nii.gz")
    (tmp_path / "x/one_l.json").write_text('{"1": "liver"}')
    (tmp_path / "samples.csv").write_text(
        "image,label,subject,modality,origin,licence,age\n"
        "x/one.nii.gz,x/one_l.nii.gz,anna,MR,a clinic,CC0,70\n"
        "two.nii.gz,,,,,,\n"
        "gone.nii.gz,,bert,ct,,,\n"
        "two.nii.gz,gone.nii.gz,bert,ct,,,\n"
        "two.nii.gz,,bert,xray,,,\n"
    )
    sources, problems = datasets.find(tmp_path)
    first, second = sources
    assert (first.id, first.subject, first.modality) == ("x-one", "anna", "mr")
    assert (first.label_names, first.origin, first.licence) == (((1, "liver"),), "a clinic", "CC0")
    assert (second.id, second.subject, second.modality, second.label) == ("two", "two", None, None)
    assert [problem.reason for problem in problems] == [
        "the image 'gone.nii.gz' of the table is missing",
        "the label map 'gone.nii.gz' of the table is missing",
        "the table says modality 'xray'",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"path\na.nii\n", "no column `image`"),
        (b"image\n\xff\n", "cannot be read"),
        (b"image\na.nii\na.nii\n", "twice"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, content, reason):
    (tmp_path / "a.nii").write_bytes(b"")
    (tmp_path / "samples.csv").write_bytes(content)
    with pytest.raises(InputError, match=reason):
        datasets.find(tmp_path)


def test_a_folder_or_layout_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        datasets.find(tmp_path / "nothing")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="is no folder"):
        datasets.find(tmp_path / "file")
    with pytest.raises(ConfigError) as caught:
        datasets.find(tmp_path, "foldr")
    assert caught.value.hint == "did you mean folder?"


def test_check_reads_everything_and_names_what_is_wrong(tmp_path):
    scan(tmp_path / "good/image.nii.gz")
    scan(tmp_path / "good/label.nii.gz", labels=True)
    path = scan(tmp_path / "short/image.nii.gz")
    path.write_bytes(path.read_bytes()[:-20])
    scan(tmp_path / "other/image.nii.gz")
    write_nifti(tmp_path / "other/label.nii.gz", np.zeros((4, 5, 5), dtype=np.uint8), np.eye(4))
    told = []
    problems = datasets.check("folder", tmp_path, lambda done, total, note="": told.append((done, total)))
    assert [(Path(item.file).relative_to(tmp_path).as_posix(), item.reason[:23]) for item in problems] == [
        ("other/label.nii.gz", "label.nii.gz has (4, 5,"),
        ("short/image.nii.gz", "image.nii.gz is truncat"),
    ]
    assert all(item.hint for item in problems)
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_check_of_an_empty_folder_says_so(tmp_path):
    assert [item.reason for item in datasets.check("auto", tmp_path)] == ["no scan was found"]


def test_the_layouts_can_be_named():
    assert datasets.names() == ["sample", "folder"]
