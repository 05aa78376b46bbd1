"""Which folder is taken for which public data set."""

from __future__ import annotations

from pathlib import Path

import pytest
from public_replicas import REPLICAS
from replica_files import image, label, table

from med3dinsight import datasets
from med3dinsight.datasets.public import DATASETS, tree

#: Folders inside and above a replica that will do as well.
ELSEWHERE = {
    "mmwhs_ct": ["data/ct_train", "."],
    "chaos_ct": ["data/CHAOS_Train_Sets", "data/CHAOS_Train_Sets/Train_Sets/CT", "."],
    "oasis1_seg": ["."],
    "oasis2_cls": ["data/OAS2_RAW_PART1", "."],
    "msd_spleen": ["data/Task09_Spleen"],
    "lits": ["data/Training Batch 1", "."],
    "abdomenct1k": ["."],
    "vs_seg": ["data/vs_gk_1", "."],
    "adni_seg": ["data/ADNI", "data/ADNI/002_S_0295", "."],
    "acdc": ["data/database/training", "data/database/training/patient001", "."],
    "ct_rate": ["data/dataset", "data/dataset/train/train_1", "."],
    "bimcv_r": ["data/CT_1/ct", "."],
    "openmind": ["data/OpenMind", "."],
    "brats": ["data/RSNA_ASNR_MICCAI_BraTS2021_TrainingData/BraTS2021_00000", "."],
}


def recognised(folder: Path) -> list[str]:
    return [name for name, layout in DATASETS.items() if layout.recognises(folder)]


def test_there_is_a_replica_of_every_data_set():
    assert list(REPLICAS) == list(DATASETS)


@pytest.mark.parametrize("name", REPLICAS)
def test_a_data_set_is_recognised_as_itself_and_as_nothing_else(replica, name):
    root = replica(name)
    assert recognised(root) == [name]
    assert datasets.detect(root) == name


@pytest.mark.parametrize(("name", "where"), [(name, where) for name in ELSEWHERE for where in ELSEWHERE[name]])
def test_folders_above_and_inside_are_recognised_too(replica, name, where):
    folder = replica(name).parent / where
    assert recognised(folder) == [name]
    assert datasets.find(folder)[0]


@pytest.mark.parametrize(
    "names",
    [
        ("a/image.nii.gz", "a/label.nii.gz"),
        ("sub-01/anat/sub-01_T1w.nii.gz", "sub-01/ses-1/anat/sub-01_ses-1_T2w.nii.gz"),
        ("ds000114/sub-01/anat/sub-01_T1w.nii.gz",),  # one study of OpenNeuro is not OpenMind
        ("FLARE22_UnlabeledCase1-1000/Case_00001_0000.nii.gz",),  # FLARE has the names of AbdomenCT-1K
        ("imagesTr/case_0000.nii.gz", "labelsTr/case.nii.gz", "dataset.json"),
        ("1/DICOM/x.dcm", "volume.nii", "segmentation.nii", "patient1.nii.gz"),
        (".hidden/volume-0.nii", "._volume-1.nii"),
    ],
)
def test_other_folders_are_taken_for_none(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert recognised(tmp_path) == []


def test_several_tasks_of_the_decathlon_are_the_collection_and_two_others_are_the_first(replica, tmp_path):
    REPLICAS["msd_lung"](tmp_path / "two")
    REPLICAS["msd_colon"](tmp_path / "two")
    assert datasets.detect(tmp_path / "two") == "msd_lung"
    told = DATASETS["msd_lung"].oddities(tmp_path / "two", datasets.find(tmp_path / "two")[0])
    assert "Task10_Colon lie here too" in " ".join(row.reason for row in told)
    REPLICAS["msd_spleen"](tmp_path / "two")
    assert datasets.detect(tmp_path / "two") == "msd_lung"
    REPLICAS["msd_liver"](tmp_path / "two")
    assert datasets.detect(tmp_path / "two") == "3dseg8"


def test_a_task_in_a_renamed_folder_is_read_when_it_is_named(replica):
    root = replica("msd_spleen")
    renamed = (root / "Task09_Spleen").rename(root / "spleens")
    assert recognised(renamed) == []
    assert [source.id for source in datasets.find(renamed, "msd_spleen")[0]] == ["spleen_2", "spleen_3", "test_9"]


def test_a_glimpse_of_a_large_folder_is_short(tmp_path):
    for person in range(60):
        for visit in range(12):
            (tmp_path / f"p{person:02}" / f"v{visit:02}").mkdir(parents=True)
            (tmp_path / f"p{person:02}" / f"v{visit:02}" / "scan.nii").write_bytes(b"")
    paths = tree.glimpse(tmp_path)
    assert len(paths) == 60 + 8 * 12 + 8 * 3  # folders at the top, in eight of them, files in three of each
    assert f"{tmp_path.name}/p00/v00/scan.nii" in paths


def test_our_own_output_and_hidden_files_are_no_part_of_a_data_set(tmp_path):
    image(tmp_path / "volume-0.nii")
    label(tmp_path / "segmentation-0.nii", 1)
    image(tmp_path / "work" / "volume-7.nii")
    table(tmp_path / "work" / "workspace.json", "{}")
    image(tmp_path / "._volume-8.nii")
    image(tmp_path / ".trash" / "volume-9.nii")
    assert [source.id for source in datasets.find(tmp_path, "lits")[0]] == ["volume-0"]
