"""Folders of public data sets that are not whole: what is left out, and what is told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from public_replicas import LONGITUDINAL, REPLICAS
from replica_files import excel, image, label, table

from med3dinsight import datasets
from med3dinsight.datasets.public import DATASETS
from med3dinsight.errors import InputError


def found(root: Path, name: str) -> tuple[set[str], dict[str, str]]:
    """Ids of the scans, and ``{file name: reason}`` of what is left out."""
    sources, problems = datasets.find(root, name)
    return {source.id for source in sources}, {Path(row.file).name: row.reason for row in problems}


def told(root: Path, name: str) -> list[str]:
    return [row.reason for row in DATASETS[name].oddities(root, datasets.find(root, name)[0])]


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_without_its_files_is_refused_with_a_name_to_look_for(tmp_path, name):
    image(tmp_path / "scan.nii.gz")
    with pytest.raises(InputError, match="holds no scan of") as caught:
        datasets.find(tmp_path, name)
    assert "its files are named like" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "gone", "reason"),
    [
        ("mmwhs_ct", "ct_train/ct_train_1002_label.nii.gz", "its label map is missing"),
        ("mmwhs_mr", "mr_train/mr_train_1001_image.nii.gz", "a label map whose image is missing"),
        ("chaos_ct", "CHAOS_Train_Sets/Train_Sets/CT/14/Ground", "its label map is missing"),
        ("chaos_ct", "CHAOS_Train_Sets/Train_Sets/CT/1/DICOM_anon", "a label map whose image is missing"),
        ("oasis1_seg", "OASIS_OAS1_0002_MR1/aligned_seg4.nii.gz", "its label map is missing"),
        ("oasis1_seg", "OASIS_OAS1_0002_MR1/aligned_norm.nii.gz", "a label map whose image is missing"),
        ("msd_heart", "Task02_Heart/labelsTr/la_003.nii.gz", "labelsTr/la_003.nii.gz of dataset.json is missing"),
        ("lits", "Training Batch 1/segmentation-5.nii", "its label map is missing"),
        ("lits", "Training Batch 2/volume-28.nii", "a label map whose image is missing"),
        ("abdomenct1k", "AbdomenCT-1K-ImagePart2/Case_00700_0000.nii.gz", "a label map whose image is missing"),
        ("vs_seg", "vs_gk_1/vs_gk_seg_refT2.nii.gz", "its label map is missing"),
        ("vs_seg", "vs_gk_1/vs_gk_t2_refT2.nii.gz", "a label map whose image is missing"),
        ("adni_seg", "ADNI/011_S_10021/011_S_10021_T1.nii.gz", "a label map that belongs to no scan"),
        ("acdc", "database/training/patient001/patient001_frame12_gt.nii.gz", "its label map is missing"),
        ("acdc", "database/training/patient001/patient001_frame12.nii.gz", "a label map whose image is missing"),
    ],
)
def test_half_of_a_pair_is_left_out_and_the_rest_stays(replica, name, gone, reason):
    root = replica(name)
    before, _ = found(root, name)
    (shutil.rmtree if (root / gone).is_dir() else Path.unlink)(root / gone)
    after, problems = found(root, name)
    assert len(before - after) == 1
    assert list(problems.values()) == [reason]


def test_contrasts_without_their_label_map_are_left_out_only_in_the_training_part(replica):
    root = replica("brats")
    next(root.rglob("BraTS2021_00002_seg.nii.gz")).unlink()
    ids, problems = found(root, "brats")
    assert {name.partition("_flair")[0] for name in ids if name.endswith("flair")} == {
        "BraTS2021_00000",
        "BraTS2021_00001",
    }
    assert set(problems.values()) == {"its label map is missing"}
    for path in root.rglob("BraTS2021_00000_t*.nii.gz"):
        path.unlink()
    assert told(root, "brats") == ["1 without all of the 4 contrasts: BraTS2021_00000"]


def test_brats_from_2023_on_has_other_names_values_and_visits(tmp_path):
    for visit in ("BraTS-GLI-00008-000", "BraTS-GLI-00008-001"):
        folder = tmp_path / "ASNR-MICCAI-BraTS2023-GLI-Challenge-TrainingData" / visit
        for contrast in ("t1n", "t1c", "t2w", "t2f"):
            image(folder / f"{visit}-{contrast}.nii.gz")
        label(folder / f"{visit}-seg.nii.gz", 1, 2, 3)
    assert datasets.detect(tmp_path) == "brats"
    sources, problems = datasets.find(tmp_path)
    assert (len(sources), problems) == (8, [])
    assert {source.subject for source in sources} == {"BraTS-GLI-00008"}
    assert {source.label_names for source in sources} == {
        ((1, "necrotic tumour core"), (2, "peritumoural edema"), (3, "enhancing tumour"))
    }


@pytest.mark.parametrize(
    ("name", "folder", "count"),
    [
        ("lits", "Training Batch 1", 4),
        ("chaos_ct", "CHAOS_Train_Sets/Train_Sets/CT", 4),
        ("vs_seg", "vs_gk_1", 4),
        ("oasis2_cls", "OAS2_RAW_PART1", 3),
        ("acdc", "database/training/patient001", 4),
        ("bimcv_r", "CT_1", 3),
    ],
)
def test_what_is_there_twice_is_taken_once(replica, name, folder, count):
    root = replica(name)
    before, _ = found(root, name)
    shutil.copytree(root / folder, root / "zz another copy" / Path(folder).name)
    sources, problems = datasets.find(root, name)
    assert {source.id for source in sources} == before
    assert not any("another copy" in f"{source.image} {source.label}" for source in sources)
    assert ["is there twice" in row.reason and "another copy" in row.file for row in problems] == [True] * count


def test_corrected_volumes_of_ct_rate_are_preferred(replica):
    root = replica("ct_rate")
    image(root / "dataset" / "train_fixed" / "train_1" / "train_1_a" / "train_1_a_1.nii.gz", 5)
    sources, problems = datasets.find(root)
    images = {source.id: source.image for source in sources}
    assert "train_fixed" in images["train_1_a_1"] and "train_fixed" not in images["train_1_a_2"]
    assert [Path(row.file).parts[-4] for row in problems] == ["train"]


def test_a_person_s_number_is_taken_from_the_name_or_the_folder_of_a_schwannoma_scan(tmp_path):
    image(tmp_path / "flat" / "vs_gk_12_t1_refT1.nii.gz")
    label(tmp_path / "flat" / "vs_gk_12_seg_refT1.nii.gz", 1)
    image(tmp_path / "VS-SEG-007" / "x" / "vs_gk_t2_refT1.nii.gz")
    label(tmp_path / "VS-SEG-007" / "x" / "vs_gk_seg_refT1.nii.gz", 1)
    image(tmp_path / "loose" / "vs_gk_t1_refT1.nii.gz")
    sources, problems = datasets.find(tmp_path, "vs_seg")
    assert {source.id: source.subject for source in sources} == {
        "vs_gk_12_t1_refT1": "vs_gk_12",
        "vs_gk_7_t2_refT1": "vs_gk_7",
    }
    assert [row.reason for row in problems] == ["neither its name nor its folder's tells whose scan it is"]


class TestOasis2:
    def test_the_table_may_be_a_csv_file(self, replica):
        root = replica("oasis2_cls")
        next(root.glob("*.xlsx")).unlink()
        assert told(root, "oasis2_cls")[-1] == "no longitudinal table: no scan has a class"
        table(root / "oasis_longitudinal.csv", *(",".join(row) for row in LONGITUDINAL))
        assert [source.class_label for source in datasets.find(root)[0]] == ["NC", "NC", "AD", "", ""]

    def test_a_table_that_cannot_be_read_is_told_of(self, replica):
        root = replica("oasis2_cls")
        next(root.glob("*.xlsx")).write_bytes(b"PK\x03\x04 and no more")
        ids, problems = found(root, "oasis2_cls")
        assert len(ids) == 5
        assert "is no readable table" in next(iter(problems.values()))
        assert {source.class_label for source in datasets.find(root)[0]} == {""}

    def test_a_session_without_a_whole_pair_is_left_out_and_the_next_acquisition_stands_in(self, replica):
        root = replica("oasis2_cls")
        part = root / "OAS2_RAW_PART1"
        (part / "OAS2_0001_MR1" / "RAW" / "mpr-1.nifti.img").unlink()
        for name in ("mpr-1.nifti.img", "mpr-2.nifti.hdr"):
            (part / "OAS2_0002_MR1" / "RAW" / name).unlink()
        sources, problems = datasets.find(root)
        images = {source.id: Path(source.image).name for source in sources}
        assert images["OAS2_0001_MR1"] == "mpr-2.nifti.hdr"
        assert "OAS2_0002_MR1" not in images
        assert [row.reason for row in problems] == ["session OAS2_0002_MR1 has no whole pair of .hdr and .img"]

    def test_what_table_and_folder_do_not_share_is_told(self, replica):
        root = replica("oasis2_cls")
        changed = [row for row in LONGITUDINAL if row[1] != "OAS2_0001_MR2"]
        changed += [["OAS2_0099", "OAS2_0099_MR1", "Sleepy"]]
        excel(next(root.glob("*.xlsx")), changed)
        assert told(root, "oasis2_cls")[2:] == [
            "1 sessions of the table are not there: OAS2_0099_MR1",
            "1 sessions are not in the table and get no class: OAS2_0001_MR2",
            "the table has groups that were never published: Sleepy",
            "1 converted people get no class: OAS2_0018",
        ]


def test_tables_of_ct_rate_without_their_column_or_missing_are_told(replica):
    root = replica("ct_rate")
    reports = root / "dataset" / "radiology_text_reports" / "train_reports.csv"
    table(reports, "Volume,Findings_EN", "train_1_a_1.nii.gz,x")
    sources, problems = datasets.find(root)
    assert [(Path(row.file).name, row.reason) for row in problems] == [
        ("train_reports.csv", "it has no column VolumeName")
    ]
    assert [source.id for source in sources if source.report] == ["valid_1_a_1"]
    shutil.rmtree(root / "dataset" / "multi_abnormality_labels")
    assert any(reason.startswith("5 volumes without abnormalities") for reason in told(root, "ct_rate"))


def test_what_was_never_published_is_told(replica, tmp_path):
    root = replica("lits")
    image(root / "volume-500.nii")
    label(root / "segmentation-500.nii", 1)
    assert "volumes that were never published: volume-500" in told(root, "lits")
    assert "3 of 131 training volumes" in told(root, "lits")
    other = tmp_path / "hearts"
    REPLICAS["mmwhs_ct"](other)
    REPLICAS["mmwhs_mr"](other)
    assert told(other, "mmwhs_ct") == [
        "2 of 20 volumes of ct_train",
        "1 of 40 volumes of ct_test",
        "MR scans of MM-WHS lie here too and are not in this list",
    ]


def test_a_series_with_another_number_of_masks_is_told(replica):
    root = replica("chaos_ct")
    next(root.rglob("liver_GT_004.png")).unlink()
    assert "9 masks for 10 slices" in told(root, "chaos_ct")


def test_a_patient_of_acdc_without_group_or_second_frame_is_told(replica):
    root = replica("acdc")
    folder = root / "database" / "training" / "patient001"
    table(folder / "Info.cfg", "ED: 1", "Group: XYZ")
    for path in folder.glob("*frame12*"):
        path.unlink()
    reasons = told(root, "acdc")
    assert "patients without exactly two labelled frames: patient001" in reasons
    assert "Info.cfg of patient001_frame01 gives the group 'XYZ'" in reasons


def test_a_dataset_json_with_another_value_table_is_told(replica):
    root = replica("msd_liver")
    path = root / "Task03_Liver" / "dataset.json"
    path.write_text(path.read_text().replace('"cancer"', '"vessel"'))
    assert any(
        "dataset.json names the labels {1: 'liver', 2: 'vessel'}" in reason for reason in told(root, "msd_liver")
    )
