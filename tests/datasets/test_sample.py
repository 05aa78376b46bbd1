"""The real sample data, as the packages carry them."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from med3dinsight import datasets
from med3dinsight.datasets import sample
from med3dinsight.volumes.reading import read_label, read_volume

pytestmark = pytest.mark.network


@pytest.fixture
def copy(sample_dir, tmp_path):
    """The sample folder to change: scans by links, small files copied."""

    def link(source, target):
        shutil.copy(source, target) if source.endswith((".json", ".csv")) else Path(target).symlink_to(source)

    shutil.copytree(sample_dir, tmp_path / "sample", copy_function=link)
    return tmp_path / "sample"


def test_eight_volumes_of_seven_people_and_an_average_are_there(sample_dir):
    sources, problems = datasets.find(sample_dir)
    assert problems == []
    assert {source.id: (source.subject, source.modality) for source in sources} == {
        name: (name, "mr" if name.endswith("_mr") else "ct")
        for name in (
            *("chest_ct", "abdomen_ct", "contrast_ct", "dicom_ct"),
            *("lung_ct_1", "lung_ct_2", "abdomen_mr", "brain_mr"),
        )
    }


def test_the_table_says_where_everything_comes_from(sample_dir):
    with (sample_dir / "samples.csv").open(newline="") as handle:
        rows = {row["id"]: row for row in csv.DictReader(handle)}
    assert len(rows) == 8
    assert all(row["origin"] and row["licence"] and row["package"] for row in rows.values())
    assert "average" in rows["brain_mr"]["origin"]
    for name in ("chest_ct", "abdomen_ct", "contrast_ct", "dicom_ct", "abdomen_mr"):
        assert "drawn by the TotalSegmentator model" in rows[name]["origin"]


def test_labels_carry_their_own_tables(sample_dir):
    names = {source.id: dict(source.label_names) for source in datasets.find(sample_dir)[0]}
    for person in ("chest_ct", "abdomen_ct", "dicom_ct"):
        assert (names[person][1], names[person][5], names[person][52]) == ("spleen", "liver", "aorta")
    assert names["chest_ct"][118] == names["dicom_ct"][117] == "costal_cartilages"  # two versions of the table
    assert (names["abdomen_mr"][19], names["abdomen_mr"][23]) == ("vertebrae", "aorta")  # and another one for MR
    assert names["lung_ct_1"] == {1: "lesion"}
    assert names["brain_mr"] == {1: "grey_matter", 2: "white_matter"}


def test_a_dicom_series_and_its_label_map_meet_on_one_grid(sample_dir):
    volume = read_volume(sample_dir / "dicom_ct" / "image")
    label = read_label(sample_dir / "dicom_ct" / "label.nii.gz", volume)
    assert volume.array.shape == label.shape == (512, 512, 20)
    assert volume.spacing_mm == pytest.approx((0.9765625, 0.9765625, 2.0))
    liver, air = volume.array[label == 5], volume.array[label == 0]
    assert 60 < np.median(liver) < 160
    assert np.median(air) < -500
    x, z = np.nonzero(label == 5)[0].mean(), np.nonzero(label == 1)[0].mean()
    assert x > z  # the liver is on the right, the spleen on the left


def test_lesions_keep_their_size(sample_dir):
    for name, millilitres in (("lung_ct_1", 1.4), ("lung_ct_2", 48.4)):
        image = nib.load(sample_dir / name / "label.nii.gz")
        size = np.asarray(image.dataobj).sum() * np.prod(image.header.get_zooms()) / 1000
        assert size == pytest.approx(millilitres, rel=0.03)


def test_brain_labels_are_the_likelier_tissue(sample_dir):
    label = np.asarray(nib.load(sample_dir / "brain_mr" / "label.nii.gz").dataobj)
    image = np.asarray(nib.load(sample_dir / "brain_mr" / "image.nii.gz").dataobj)
    litres = [(label == value).sum() / 1e6 for value in (1, 2)]
    assert 0.5 < litres[0] < 1.2
    assert 0.4 < litres[1] < 1.0
    assert image[label == 2].mean() > image[label == 1].mean() + 20  # white matter is brighter in T1


def test_a_second_fetch_does_nothing(copy, monkeypatch):
    monkeypatch.setattr(sample, "read_members", lambda *_: pytest.fail("an archive was opened"))
    before = {path: path.lstat().st_mtime_ns for path in copy.rglob("*")}
    assert len(sample.fetch_sample(copy)) == 8
    assert {path: path.lstat().st_mtime_ns for path in copy.rglob("*")} == before


def test_only_what_is_missing_is_written_again(copy):
    (copy / "abdomen_mr" / "label.json").unlink()
    shutil.rmtree(copy / "brain_mr")
    (copy / ".brain_mr.part").mkdir()  # a kill left it
    (copy / ".brain_mr.part" / "image.nii.gz").write_bytes(b"half")
    told = []
    sample.fetch_sample(copy, lambda done, total, note="": told.append((done, total, note)))
    assert told == [(7, 8, "abdomen_mr"), (8, 8, "brain_mr")]
    assert (copy / "chest_ct" / "image.nii.gz").is_symlink()
    assert read_volume(copy / "brain_mr" / "image.nii.gz").array.shape == (197, 233, 189)
    assert not list(copy.glob(".*part"))


def test_a_missing_volume_is_named(copy):
    shutil.rmtree(copy / "lung_ct_2")
    _, problems = datasets.find(copy, "sample")
    (problem,) = problems
    assert problem.reason.endswith("the image 'lung_ct_2/image.nii.gz' of the table is missing")
    (copy / "samples.csv").write_text("id,image\nchest_ct,chest_ct/image.nii.gz\n")
    _, problems = datasets.find(copy, "sample")
    assert [Path(problem.file).name for problem in problems] == [volume.id for volume in sample.VOLUMES][1:]
    assert "fetch sample" in problems[0].hint
