"""Data sets of nnU-Net, on replicas of their folders."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from med3dinsight import datasets
from med3dinsight.errors import InputError

from .tiny_scans import label, reasons, rows, scan, write

BRATS = {
    "channel_names": {"0": "T1", "1": "FLAIR"},
    "labels": {"background": 0, "whole tumour": [1, 2], "core": [2]},
    "numTraining": 2,
    "file_ending": ".nii.gz",
    "name": "Tumours",
    "licence": "CC0",
}
ONE_CHANNEL = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}


@pytest.fixture
def tumours(tmp_path: Path) -> Path:
    """Two training cases and one test case of two channels each."""
    write(tmp_path / "dataset.json", BRATS)
    for case in ("imagesTr/a_01", "imagesTr/a_02", "imagesTs/a_03"):
        for channel in ("0000", "0001"):
            scan(tmp_path / f"{case}_{channel}.nii.gz")
    for case in ("a_01", "a_02"):
        label(tmp_path / f"labelsTr/{case}.nii.gz")
    return tmp_path


def test_every_channel_is_a_scan_of_its_case(tumours: Path) -> None:
    assert datasets.detect(tumours) == "nnunet"
    assert rows(tumours) == {
        "a_01_0000": ("a_01", "imagesTr/a_01_0000.nii.gz", "labelsTr/a_01.nii.gz"),
        "a_01_0001": ("a_01", "imagesTr/a_01_0001.nii.gz", "labelsTr/a_01.nii.gz"),
        "a_02_0000": ("a_02", "imagesTr/a_02_0000.nii.gz", "labelsTr/a_02.nii.gz"),
        "a_02_0001": ("a_02", "imagesTr/a_02_0001.nii.gz", "labelsTr/a_02.nii.gz"),
        "a_03_0000": ("a_03", "imagesTs/a_03_0000.nii.gz", None),
        "a_03_0001": ("a_03", "imagesTs/a_03_0001.nii.gz", None),
    }
    assert reasons(tumours) == {}


def test_what_the_description_says_comes_with_every_scan(tumours: Path) -> None:
    sources, _ = datasets.find(tumours)
    assert {source.modality for source in sources} == {"mr"}
    assert sources[0].label_names == ((1, "whole tumour"), (2, "whole tumour"), (2, "core"))
    assert sources[-1].label_names == ()
    assert [source.split for source in sources] == [""] * 4 + ["test"] * 2
    assert (sources[0].origin, sources[0].licence) == ("Tumours", "CC0")


def test_a_whole_data_set_is_in_order(tumours: Path) -> None:
    result = datasets.check("auto", tumours)
    assert result.problems == ()
    assert (result.layout, result.scans, result.subjects, result.labelled) == ("nnunet", 6, 3, 4)


def test_a_case_of_one_channel_is_called_like_its_case(tmp_path: Path) -> None:
    write(tmp_path / "dataset.json", ONE_CHANNEL)
    scan(tmp_path / "imagesTr/liver_1_0000.nii.gz")
    label(tmp_path / "labelsTr/liver_1.nii.gz")
    (source,), problems = datasets.find(tmp_path)
    assert (source.id, source.modality, source.label_names, problems) == ("liver_1", "ct", ((1, "liver"),), [])


def test_the_description_of_the_first_version_is_read_too(tmp_path: Path) -> None:
    listed = [{"image": "./imagesTr/la_1.nii.gz", "label": "./labelsTr/la_1.nii.gz"}]
    write(tmp_path / "dataset.json", {"modality": {"0": "MRI"}, "labels": {"0": "bg", "1": "LA"}, "training": listed})
    scan(tmp_path / "imagesTr/la_1_0000.nii.gz")
    label(tmp_path / "labelsTr/la_1.nii.gz", 1)
    assert datasets.detect(tmp_path) == "nnunet"
    (source,), _ = datasets.find(tmp_path)
    assert (source.id, source.modality, source.label_names) == ("la_1", "mr", ((1, "LA"),))


def test_scans_that_lie_elsewhere_by_a_link_are_taken(tmp_path: Path) -> None:
    write(tmp_path / "set/dataset.json", ONE_CHANNEL)
    (tmp_path / "set/imagesTr").mkdir()
    os.symlink(scan(tmp_path / "store/x.nii.gz"), tmp_path / "set/imagesTr/x_0000.nii.gz")
    assert list(rows(tmp_path / "set")) == ["x"]


def test_a_pattern_takes_the_person_out_of_the_case(tumours: Path) -> None:
    subjects = {row[0] for row in rows(tumours, subject_pattern=r"/(a)_").values()}
    assert subjects == {"a"}


def test_files_that_fit_nowhere_are_named(tumours: Path) -> None:
    scan(tumours / "imagesTr/b.nii.gz")
    scan(tumours / "imagesTr/a_01_0002.nii.gz")
    scan(tumours / "imagesTr/._a_01_0000.nii.gz")
    label(tumours / "labelsTr/c.nii.gz")
    assert reasons(tumours) == {
        "imagesTr/b.nii.gz": "its name does not end in a channel (_0000)",
        "imagesTr/a_01_0002.nii.gz": "channel 2 is none of the 2 in dataset.json",
        "labelsTr/c.nii.gz": "a label map that belongs to no image",
    }
    assert len(rows(tumours)) == 6


def test_check_tells_what_is_missing(tumours: Path) -> None:
    (tumours / "imagesTr/a_01_0001.nii.gz").unlink()
    (tumours / "labelsTr/a_02.nii.gz").unlink()
    label(tumours / "labelsTr/a_01.nii.gz", 1, 7)
    write(tumours / "dataset.json", {**BRATS, "numTraining": 3})
    assert [problem.reason for problem in datasets.check("nnunet", tumours).problems] == [
        "case imagesTr/a_01 has 1 of 2 channels",
        "case imagesTr/a_02 has no label map",
        "`numTraining` is 3, and 2 training cases are here",
        "the label map holds values without a name: 7",
    ]


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "is no JSON object"),
        ({}, "has channels None"),
        ({"channel_names": {}}, "has channels {}"),
        ({"channel_names": {"1": "CT"}}, "has channels {'1': 'CT'}"),
        ({"channel_names": {"0": "CT"}, "labels": ["liver"]}, "`labels` of no known form: they are list"),
        ({"channel_names": {"0": "CT"}, "labels": {"liver": "one"}}, "`labels` of no known form: invalid literal"),
        ({"channel_names": {"0": "CT"}, "labels": {"liver": 70000}}, "a value is not from 0 to 65535"),
        ({"channel_names": {"0": "CT"}, "labels": {"liver": None}}, "`labels` of no known form"),
        ({"channel_names": {"0": "CT"}, "file_ending": ".png"}, "file_ending '.png', which is not read"),
        ({"channel_names": {"0": "CT"}, "file_ending": 3}, "file_ending 3, which is not read"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(tmp_path: Path, description: object, reason: str) -> None:
    write(tmp_path / "dataset.json", description)
    scan(tmp_path / "imagesTr/a_0000.nii.gz")
    with pytest.raises(InputError) as caught:
        datasets.find(tmp_path)
    assert reason in caught.value.message
    assert caught.value.hint
