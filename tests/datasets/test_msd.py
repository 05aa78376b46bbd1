"""Tasks of the Medical Segmentation Decathlon, on replicas of their folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from med3dinsight import datasets
from med3dinsight.errors import InputError

from .tiny_scans import label, reasons, rows, scan, write


def described(**changes: Any) -> dict[str, Any]:
    """What the file of a task with one CT modality says."""
    return {
        "name": "SPLEEN",
        "licence": "CC-BY-SA 4.0",
        "modality": {"0": "CT"},
        "labels": {"0": "background", "1": "spleen"},
        "numTraining": 2,
        "training": [
            {"image": f"./imagesTr/spleen_{number}.nii.gz", "label": f"./labelsTr/spleen_{number}.nii.gz"}
            for number in (1, 2)
        ],
        "test": ["./imagesTs/spleen_3.nii.gz"],
        **changes,
    }


@pytest.fixture
def spleen(tmp_path: Path) -> Path:
    """Two training images and one test image, with what macOS leaves beside them."""
    write(tmp_path / "dataset.json", described())
    for number in (1, 2):
        scan(tmp_path / f"imagesTr/spleen_{number}.nii.gz")
        label(tmp_path / f"labelsTr/spleen_{number}.nii.gz", 1)
        write(tmp_path / f"imagesTr/._spleen_{number}.nii.gz", "Mac OS X")
    scan(tmp_path / "imagesTs/spleen_3.nii.gz")
    return tmp_path


def test_images_and_label_maps_are_those_of_the_description(spleen: Path) -> None:
    assert datasets.detect(spleen) == "msd"
    assert rows(spleen) == {
        "spleen_1": ("spleen_1", "imagesTr/spleen_1.nii.gz", "labelsTr/spleen_1.nii.gz"),
        "spleen_2": ("spleen_2", "imagesTr/spleen_2.nii.gz", "labelsTr/spleen_2.nii.gz"),
        "spleen_3": ("spleen_3", "imagesTs/spleen_3.nii.gz", None),
    }
    sources, problems = datasets.find(spleen)
    assert problems == []
    assert [(source.modality, source.channel, source.split) for source in sources] == [
        ("ct", None, ""),
        ("ct", None, ""),
        ("ct", None, "test"),
    ]
    assert (sources[0].label_names, sources[0].origin) == (((1, "spleen"),), "SPLEEN")
    result = datasets.check("auto", spleen)
    assert result.problems == ()
    assert (result.layout, result.licence, result.labelled) == ("msd", "CC-BY-SA 4.0", 2)


def test_each_channel_of_a_4d_image_is_a_scan(spleen: Path) -> None:
    write(spleen / "dataset.json", described(modality={"0": "T2", "1": "ADC"}))
    for path in ("imagesTr/spleen_1", "imagesTr/spleen_2", "imagesTs/spleen_3"):
        scan(spleen / f"{path}.nii.gz", channels=2)
    sources, _ = datasets.find(spleen)
    assert [(source.id, source.subject, source.channel) for source in sources[:3]] == [
        ("spleen_1_0000", "spleen_1", 0),
        ("spleen_1_0001", "spleen_1", 1),
        ("spleen_2_0000", "spleen_2", 0),
    ]
    assert {source.modality for source in sources} == {"mr"}
    assert sources[0].label == sources[1].label
    result = datasets.check("msd", spleen)
    assert (result.problems, result.scans, result.subjects) == ((), 6, 3)


def test_an_image_with_fewer_channels_than_declared_is_named(spleen: Path) -> None:
    write(spleen / "dataset.json", described(modality={"0": "T2", "1": "ADC"}))
    problems = datasets.check("msd", spleen).problems
    assert {Path(problem.file).name for problem in problems} == {f"spleen_{number}.nii.gz" for number in (1, 2, 3)}


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "imagesTr/../../x.nii.gz", "..\\x.nii.gz", "C:\\x.nii.gz"]
)
@pytest.mark.parametrize("key", ["image", "label"])
def test_a_file_outside_the_folder_is_never_named(spleen: Path, name: str, key: str) -> None:
    listed = {"image": "imagesTr/spleen_1.nii.gz", "label": "labelsTr/spleen_1.nii.gz"}
    write(spleen / "dataset.json", described(training=[{**listed, key: name}], test=[]))
    assert rows(spleen, "msd") == {}
    assert reasons(spleen, "msd") == {"dataset.json": f"dataset.json names a file outside its folder: {name}"}


@pytest.mark.parametrize("item", [3, None, {}, {"image": 3}, {"image": "a\0b"}, {"image": ""}, []])
def test_an_entry_that_is_no_path_is_named_and_the_rest_is_taken(spleen: Path, item: object) -> None:
    write(spleen / "dataset.json", described(training=[item, *described()["training"]]))
    assert len(rows(spleen)) == 3
    assert list(reasons(spleen)) == ["dataset.json"]


def test_what_is_missing_or_not_named_is_told(spleen: Path) -> None:
    (spleen / "labelsTr/spleen_1.nii.gz").unlink()
    scan(spleen / "imagesTr/spleen_9.nii.gz")
    assert reasons(spleen) == {"labelsTr/spleen_1.nii.gz": "labelsTr/spleen_1.nii.gz of dataset.json is missing"}
    assert [problem.reason for problem in datasets.check("auto", spleen).problems][1:] == [
        "an image that dataset.json does not name",
        "`numTraining` is 2, and 1 training cases are here",
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"modality": 3}, "has int for `modality`"),
        ({"modality": {"0": "CT", "2": "CT"}}, "has channels"),
        ({"training": "all"}, "has str for `training`"),
        ({"labels": 3}, "`labels` of no known form"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(spleen: Path, changes: dict[str, Any], reason: str) -> None:
    write(spleen / "dataset.json", described(**changes))
    with pytest.raises(InputError, match=reason):
        datasets.find(spleen, "msd")


def test_a_folder_without_a_description_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.json cannot be read"):
        datasets.find(tmp_path, "msd")
