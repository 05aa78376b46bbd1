"""BIDS data sets, on replicas of their folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from med3dinsight import datasets
from med3dinsight.errors import InputError

from .tiny_scans import label, reasons, rows, scan, write


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """One person with two sessions and derived labels, one without sessions, one with CT."""
    write(tmp_path / "dataset_description.json", {"Name": "Study", "License": "CC0", "BIDSVersion": "1.9.0"})
    write(
        tmp_path / "participants.tsv",
        "participant_id\tage\tGroup\nsub-01\t70\tpatient\nsub-02\tn/a\tcontrol\nsub-03\t50\tn/a\n",
    )
    for session in ("1", "2"):
        scan(tmp_path / f"sub-01/ses-{session}/anat/sub-01_ses-{session}_T1w.nii.gz")
        write(tmp_path / f"sub-01/ses-{session}/anat/sub-01_ses-{session}_T1w.json", {"Manufacturer": "X"})
        derived = tmp_path / f"derivatives/seg/sub-01/ses-{session}/anat"
        label(derived / f"sub-01_ses-{session}_desc-manual_dseg.nii.gz")
        write(derived / f"sub-01_ses-{session}_desc-manual_dseg.json", {"Manual": True})
    write(tmp_path / "derivatives/seg/dseg.tsv", "index\tname\n0\tbackground\n1\tgrey\n2\twhite\n")
    scan(tmp_path / "sub-02/anat/sub-02_T1w.nii.gz")
    scan(tmp_path / "sub-02/anat/sub-02_FLAIR.nii")
    label(tmp_path / "sub-02/anat/sub-02_label-lesion_mask.nii.gz", 1)
    scan(tmp_path / "sub-03/ct/sub-03_ct.nii.gz")
    return tmp_path


def test_subjects_sessions_and_label_maps_are_found(study: Path) -> None:
    assert datasets.detect(study) == "bids"
    derived = "derivatives/seg/sub-01/ses-{0}/anat/sub-01_ses-{0}_desc-manual_dseg.nii.gz"
    assert rows(study) == {
        "sub-01_ses-1_T1w": ("sub-01", "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz", derived.format(1)),
        "sub-01_ses-2_T1w": ("sub-01", "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz", derived.format(2)),
        "sub-02_FLAIR": ("sub-02", "sub-02/anat/sub-02_FLAIR.nii", None),
        "sub-02_T1w": ("sub-02", "sub-02/anat/sub-02_T1w.nii.gz", "sub-02/anat/sub-02_label-lesion_mask.nii.gz"),
        "sub-03_ct": ("sub-03", "sub-03/ct/sub-03_ct.nii.gz", None),
    }
    assert reasons(study) == {}


def test_modality_class_and_names_of_labels_come_with_the_scans(study: Path) -> None:
    sources = {source.id: source for source in datasets.find(study)[0]}
    assert {name: source.modality for name, source in sources.items() if source.modality != "mr"} == {"sub-03_ct": "ct"}
    assert [source.class_label for source in sources.values()] == ["patient", "patient", "control", "control", ""]
    assert sources["sub-01_ses-1_T1w"].label_names == ((1, "grey"), (2, "white"))
    assert sources["sub-02_T1w"].label_names == ()
    assert {(source.origin, source.licence) for source in sources.values()} == {("Study", "CC0")}


@pytest.mark.parametrize("content", ["{", "[1]", '{"Name": 3, "License": null}'])
def test_a_description_that_says_nothing_leaves_the_licence_open(study: Path, content: str) -> None:
    (study / "dataset_description.json").write_text(content)
    sources, problems = datasets.find(study)
    assert len(sources) == 5
    assert problems == []
    assert {(source.origin, source.licence) for source in sources} == {("", "")}


def test_a_whole_data_set_is_in_order(study: Path) -> None:
    result = datasets.check("auto", study)
    assert result.problems == ()
    assert (result.layout, result.scans, result.subjects, result.labelled) == ("bids", 5, 3, 3)
    assert result.modalities == {"ct": 1, "mr": 4}


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("sub-02_space-FLAIR_desc-x_dseg", "sub-02_FLAIR"),
        ("sub-02_mod-FLAIR_mask", "sub-02_FLAIR"),
        ("sub-02_space-orig_dseg", "sub-02_T1w"),
        ("sub-02_space-MNI152NLin6Asym_dseg", None),
        ("sub-02_res-2_dseg", None),
        ("sub-02_run-2_dseg", None),
        ("sub-02_mod-T2w_mask", None),
    ],
)
def test_a_derived_map_belongs_to_the_image_of_its_entities_and_space(
    study: Path, name: str, image: str | None
) -> None:
    (study / "sub-02/anat/sub-02_label-lesion_mask.nii.gz").unlink()
    path = label(study / f"derivatives/p/sub-02/anat/{name}.nii.gz").relative_to(study).as_posix()
    assert {key: row[2] for key, row in rows(study).items() if row[2] == path} == ({image: path} if image else {})
    assert reasons(study) == ({} if image else {path: "a label map that belongs to no image"})


def test_a_dseg_comes_before_a_mask_and_what_is_left_is_named(study: Path) -> None:
    label(study / "derivatives/p/sub-02/anat/sub-02_desc-x_dseg.nii.gz")
    assert rows(study)["sub-02_T1w"][2] == "derivatives/p/sub-02/anat/sub-02_desc-x_dseg.nii.gz"
    left = "one more label map of an image that has sub-02_desc-x_dseg.nii.gz"
    assert reasons(study) == {"sub-02/anat/sub-02_label-lesion_mask.nii.gz": left}


def test_two_images_in_two_spaces_have_a_map_each(study: Path) -> None:
    scan(study / "sub-03/anat/sub-03_space-MNI_T1w.nii.gz")
    scan(study / "sub-03/anat/sub-03_T1w.nii.gz")
    label(study / "sub-03/anat/sub-03_space-MNI_dseg.nii.gz")
    found = rows(study)
    assert found["sub-03_space-MNI_T1w"][2] == "sub-03/anat/sub-03_space-MNI_dseg.nii.gz"
    assert found["sub-03_T1w"][2] is None


def test_people_without_a_scan_or_a_row_and_other_images_are_told(study: Path) -> None:
    scan(study / "sub-04/anat/sub-04_T1w.nii.gz")
    scan(study / "sub-05/func/sub-05_task-rest_bold.nii.gz")
    write(study / "participants.tsv", "participant_id\tgroup\n01\tx\n02\tx\n03\ty\n09\ty\n")
    assert [source.class_label for source in datasets.find(study)[0]][:2] == ["x", "x"]
    assert [problem.reason for problem in datasets.check("auto", study).problems] == [
        "a person without an image in anat or ct",
        "sub-04 has no row",
        "sub-09 has no folder",
        "1 images in folders `func` are not taken",
    ]


def test_a_table_of_people_that_cannot_be_read_is_named_and_the_scans_are_taken(study: Path) -> None:
    (study / "participants.tsv").write_bytes(b"participant_id\tgroup\nsub-01\tJ\xfcrgen\n")
    assert len(rows(study)) == 5
    assert list(reasons(study)) == ["participants.tsv"]


def test_a_broken_look_up_table_leaves_the_map_without_names(study: Path) -> None:
    write(study / "derivatives/seg/dseg.tsv", "index\tname\none\tgrey\n\n²\tx\n")
    assert datasets.find(study)[0][0].label_names == ()
    (study / "derivatives/seg/dseg.tsv").write_bytes(b"\xff\xfe")
    assert datasets.find(study)[0][0].label is not None
    assert list(reasons(study)) == ["derivatives/seg/dseg.tsv"]


def test_a_folder_without_people_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "dataset_description.json", "{")
    assert datasets.detect(tmp_path) == "folder"
    with pytest.raises(InputError, match=r"has no folders sub-\*"):
        datasets.find(tmp_path, "bids")


def test_a_pattern_overrides_the_subject(study: Path) -> None:
    assert {row[0] for row in rows(study, subject_pattern=r"sub-0(\d)").values()} == {"1", "2", "3"}
