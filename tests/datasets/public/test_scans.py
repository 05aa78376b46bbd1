"""Which scans are found in each public data set, and what is known of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from public_replicas import MSD, REPLICAS

from med3dinsight import datasets
from med3dinsight.datasets.public import DATASETS

#: ``{name: {id: (subject, image, label, class, split)}}``; paths as they end.
EXPECTED = {
    "mmwhs_ct": {
        "ct_test_2001": ("ct_test_2001", "ct_test/ct_test_2001_image.nii.gz", None, "", "test"),
        "ct_train_1001": ("ct_train_1001", "ct_train_1001_image.nii.gz", "ct_train_1001_label.nii.gz", "", "train"),
        "ct_train_1002": ("ct_train_1002", "ct_train_1002_image.nii.gz", "ct_train_1002_label.nii.gz", "", "train"),
    },
    "chaos_ct": {
        "chaos_ct_1": ("chaos_ct_1", "Train_Sets/CT/1/DICOM_anon", "Train_Sets/CT/1/Ground", "", "train"),
        "chaos_ct_3": ("chaos_ct_3", "Test_Sets/CT/3/DICOM_anon", None, "", "test"),
        "chaos_ct_14": ("chaos_ct_14", "Train_Sets/CT/14/DICOM_anon", "Train_Sets/CT/14/Ground", "", "train"),
    },
    "oasis1_seg": {
        f"OAS1_000{number}_MR1": (
            f"OAS1_000{number}",
            f"OASIS_OAS1_000{number}_MR1/aligned_norm.nii.gz",
            f"OASIS_OAS1_000{number}_MR1/aligned_seg4.nii.gz",
            "",
            "",
        )
        for number in (1, 2)
    },
    "oasis2_cls": {
        "OAS2_0001_MR1": ("OAS2_0001", "OAS2_RAW_PART1/OAS2_0001_MR1/RAW/mpr-1.nifti.hdr", None, "NC", ""),
        "OAS2_0001_MR2": ("OAS2_0001", "OAS2_0001_MR2/RAW/mpr-1.nifti.hdr", None, "NC", ""),
        "OAS2_0002_MR1": ("OAS2_0002", "OAS2_0002_MR1/RAW/mpr-1.nifti.hdr", None, "AD", ""),
        "OAS2_0018_MR1": ("OAS2_0018", "OAS2_RAW_PART2/OAS2_0018_MR1/RAW/mpr-1.nifti.hdr", None, "", ""),
        "OAS2_0018_MR3": ("OAS2_0018", "OAS2_0018_MR3/RAW/mpr-1.nifti.hdr", None, "", ""),
    },
    "lits": {
        "test-volume-0": ("test-volume-0", "LITS-Challenge-Test-Data/test-volume-0.nii", None, "", "test"),
        "volume-0": ("volume-0", "Training Batch 1/volume-0.nii", "segmentation-0.nii", "", "train"),
        "volume-5": ("volume-5", "Training Batch 1/volume-5.nii", "segmentation-5.nii", "", "train"),
        "volume-28": ("volume-28", "Training Batch 2/volume-28.nii", "segmentation-28.nii", "", "train"),
    },
    "abdomenct1k": {
        "Case_00001": ("Case_00001", "ImagePart1/Case_00001_0000.nii.gz", "Mask/Case_00001.nii.gz", "", ""),
        "Case_00002": ("Case_00002", "ImagePart1/Case_00002_0000.nii.gz", None, "", ""),
        "Case_00700": ("Case_00700", "ImagePart2/Case_00700_0000.nii.gz", "Mask/Case_00700.nii.gz", "", ""),
    },
    "vs_seg": {
        f"vs_gk_{number}_{what}_ref{grid}": (
            f"vs_gk_{number}",
            f"vs_gk_{number}/vs_gk_{what}_ref{grid}.nii.gz",
            f"vs_gk_{number}/vs_gk_seg_ref{grid}.nii.gz",
            "",
            "",
        )
        for number in (1, 97)
        for what, grid in (("t1", "T1"), ("t2", "T2"))
    },
    "adni_seg": {
        "ADNI_002_S_0295_MR_MP-RAGE__br_raw_20060418193538653_1_S13408_I13722": (
            "002_S_0295",
            "I13722/ADNI_002_S_0295_MR_MP-RAGE__br_raw_20060418193538653_1_S13408_I13722.nii",
            "I13722/samseg/seg.nii.gz",
            "",
            "",
        ),
        "ADNI_002_S_0295_MR_MP-RAGE__br_raw_2007_1_S1_I56789": ("002_S_0295", "_I56789.nii", None, "", ""),
        "011_S_10021_T1": ("011_S_10021", "011_S_10021_T1.nii.gz", "011_S_10021_T1_seg.nii.gz", "", ""),
    },
    "acdc": {
        f"patient{number:03}_frame{frame:02}": (
            f"patient{number:03}",
            f"{part}/patient{number:03}/patient{number:03}_frame{frame:02}.nii.gz",
            f"patient{number:03}_frame{frame:02}_gt.nii.gz",
            group,
            "test" if part == "testing" else "train",
        )
        for part, number, group in (("training", 1, "DCM"), ("training", 61, "NOR"), ("testing", 101, "RV"))
        for frame in (1, 12)
    },
    "ct_rate": {
        "train_1_a_1": (
            "train_1",
            "train/train_1/train_1_a/train_1_a_1.nii.gz",
            None,
            "Emphysema; Lung nodule",
            "train",
        ),
        "train_1_a_2": ("train_1", "train_1_a_2.nii.gz", None, "Emphysema; Lung nodule", "train"),
        "train_1_b_1": ("train_1", "train_1_b/train_1_b_1.nii.gz", None, "none", "train"),
        "train_2_a_1": ("train_2", "train_2_a_1.nii.gz", None, "", "train"),
        "valid_1_a_1": ("valid_1", "valid_1_a_1.nii.gz", None, "none", "validation"),
    },
    "bimcv_r": {
        f"sub-S0382{person}_ses-E0769{run}_run-{run}_bp-chest_ct": (
            f"sub-S0382{person}",
            f"CT_1/ct/sub-S0382{person}_ses-E0769{run}_run-{run}_bp-chest_ct.nii.gz",
            None,
            "",
            "",
        )
        for person, run in ((5, 1), (5, 2), (6, 1))
    },
    "openmind": {
        "ds001486-sub-001_ses-T1_T1w": ("ds001486_sub-001", "ses-T1/anat/sub-001_ses-T1_T1w.nii.gz", None, "", ""),
        "ds001491-sub-001_T1w": ("ds001491_sub-001", "ds001491/sub-001/anat/sub-001_T1w.nii.gz", None, "", ""),
    },
    "brats": {
        f"{case}_{contrast}": (case, f"{case}/{case}_{contrast}.nii.gz", seg and f"{case}/{case}_seg.nii.gz", "", "")
        for case, seg in (("BraTS2021_00000", True), ("BraTS2021_00001", None), ("BraTS2021_00002", True))
        for contrast in ("t1", "t1ce", "t2", "flair")
    },
}
EXPECTED["mmwhs_mr"] = {
    name.replace("ct", "mr"): tuple(part and part.replace("ct_", "mr_") for part in row)
    for name, row in EXPECTED["mmwhs_ct"].items()
}


def ends_as(path: str | None, end: str | None) -> bool:
    return path is end is None or (path is not None and end is not None and path.endswith(end))


@pytest.mark.parametrize("name", EXPECTED)
def test_every_scan_is_found_with_its_subject_label_class_and_split(replica, name):
    sources, problems = datasets.find(replica(name))
    assert problems == []
    assert {source.id for source in sources} == EXPECTED[name].keys()
    for source in sources:
        subject, image, label, group, split = EXPECTED[name][source.id]
        assert (source.subject, source.class_label, source.split) == (subject, group, split)
        assert ends_as(source.image, image)
        assert ends_as(source.label, label)
        assert source.modality == ("ct" if "CT" in DATASETS[name].facts.modality else "mr")


@pytest.mark.parametrize("name", [name for name in REPLICAS if name != "3dseg8"])
def test_scans_bear_title_licence_and_value_table_of_their_data_set(replica, name):
    facts = DATASETS[name].facts
    sources, _ = datasets.find(replica(name))
    for source in sources:
        assert source.origin and source.licence
        if name not in MSD:  # there dataset.json speaks for itself
            assert (source.origin, source.licence) == (facts.title, facts.licence)
        named = {value: text for value, text in source.label_names if value}
        assert named == ({} if source.label is None else dict(facts.classes))


@pytest.mark.parametrize("name", REPLICAS)
def test_order_and_ids_are_the_same_at_every_call_and_paths_are_there(replica, name):
    root = replica(name)
    sources, _ = datasets.find(root)
    assert [source.id for source in datasets.find(root)[0]] == [source.id for source in sources]
    assert len({source.id for source in sources}) == len(sources)
    assert all(Path(path).is_absolute() and Path(path).exists() for source in sources for path in (source.image,))


@pytest.mark.parametrize("name", [name for name in REPLICAS if name not in (*MSD, "3dseg8")])
def test_a_subject_pattern_overrides_the_subjects(replica, name):
    sources, _ = datasets.find(replica(name), subject_pattern="(nii|DICOM|hdr)")
    assert {source.subject for source in sources} <= {"nii", "DICOM", "hdr"}


@pytest.mark.parametrize("name", MSD)
def test_a_task_of_the_decathlon_lists_every_channel_of_a_person(replica, name):
    folder, sequences, cases = MSD[name]
    sources, problems = datasets.find(replica(name))
    assert problems == []
    assert len(sources) == (len(cases) + 1) * len(sequences)
    train = [source for source in sources if source.split != "test"]
    assert [source.subject for source in train] == [case for case in cases for _ in sequences]
    assert [source.channel for source in train[: len(sequences)]] == (
        [None] if len(sequences) == 1 else list(range(len(sequences)))
    )
    assert all(source.label.endswith(f"{folder}/labelsTr/{source.subject}.nii.gz") for source in train)


def test_the_collection_of_eight_tasks_has_no_labels_and_leaves_lung_and_colon_out(replica):
    sources, problems = datasets.find(replica("3dseg8"))
    assert problems == []
    assert all((source.label, source.label_names, source.split) == (None, (), "") for source in sources)
    tasks = {Path(source.image).parent.parent.name[:6] for source in sources}
    assert tasks == {"Task01", "Task02", "Task03", "Task04", "Task05", "Task07", "Task08", "Task09"}
    assert len({source.image for source in sources}) == 16


def test_reports_are_findings_and_impression(replica):
    reports = {source.id: source.report for source in datasets.find(replica("ct_rate"))[0]}
    assert reports["train_1_a_1"] == "Trachea, both main bronchi are open.\nEmphysema."
    assert reports["valid_1_a_1"] == "Normal."
    assert reports["train_2_a_1"] == ""
