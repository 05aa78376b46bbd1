"""Small replicas of public data sets: their folders, names, tables and label values, with voxels made on the fly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from replica_files import AFFINE, SHAPE, analyze, excel, image, label, labels, table, voxels

from med3dinsight.volumes.nifti import write_nifti


def mmwhs(root: Path, modality: str) -> None:
    for number in (1001, 1002):
        image(root / f"{modality}_train/{modality}_train_{number}_image.nii.gz", number)
        label(root / f"{modality}_train/{modality}_train_{number}_label.nii.gz", 205, 420, 500, 550, 600, 820, 850)
    image(root / f"{modality}_test/{modality}_test_2001_image.nii.gz", 3)


def chaos_ct(root: Path, write_series: Callable[..., list[Path]]) -> None:
    import pydicom
    from PIL import Image

    for part, person in (("Train", "1"), ("Train", "14"), ("Test", "3")):
        folder = root / f"CHAOS_{part}_Sets" / f"{part}_Sets" / "CT" / person
        paths = write_series(folder / "DICOM_anon", voxels(int(person)))
        paths.sort(key=lambda path: int(pydicom.dcmread(path, specific_tags=["InstanceNumber"]).InstanceNumber))
        for place, path in enumerate(paths):
            path.rename(path.with_name(f"i{place:04},0000b.dcm"))
        if part == "Train":
            (folder / "Ground").mkdir()
            for place in range(SHAPE[2]):
                plane = (labels(1)[:, :, place].T * 255).astype(np.uint8)
                Image.fromarray(plane).save(folder / "Ground" / f"liver_GT_{place:03}.png")
    other = root / "CHAOS_Train_Sets" / "Train_Sets" / "MR" / "1" / "T2SPIR"
    write_series(other / "DICOM_anon", voxels(5), modality="MR")
    (other / "Ground").mkdir()
    Image.fromarray(np.zeros((8, 9), dtype=np.uint8)).save(other / "Ground" / "IMG-0002-00001.png")


def oasis1_seg(root: Path) -> None:
    names = [f"OASIS_OAS1_{number:04}_MR1" for number in (1, 2)]
    for name in names:
        for kind in ("orig", "norm", "aligned_orig", "aligned_norm"):
            image(root / name / f"{kind}.nii.gz")
        label(root / name / "aligned_seg4.nii.gz", 1, 2, 3, 4)
        label(root / name / "aligned_seg35.nii.gz", *range(1, 8))
        label(root / name / "slice_seg4.nii.gz", 1)
    table(root / "subjects.txt", *names)
    table(root / "seg4_labels.txt", "1 Cortex 205 62 78 0", "2 Subcortical-Gray-Matter 230 148 34 0")


LONGITUDINAL = [
    ["Subject ID", "MRI ID", "Group", "Visit", "MR Delay", "M/F", "Hand", "Age", "EDUC", "SES", "MMSE", "CDR"],
    ["OAS2_0001", "OAS2_0001_MR1", "Nondemented", "1", "0", "M", "R", "87", "14", "2", "27", "0"],
    ["OAS2_0001", "OAS2_0001_MR2", "Nondemented", "2", "457", "M", "R", "88", "14", "2", "30", "0"],
    ["OAS2_0002", "OAS2_0002_MR1", "Demented", "1", "0", "M", "R", "75", "12", "", "23", "0.5"],
    ["OAS2_0018", "OAS2_0018_MR1", "Converted", "1", "0", "F", "R", "87", "14", "1", "30", "0"],
    ["OAS2_0018", "OAS2_0018_MR3", "Converted", "2", "489", "F", "R", "88", "14", "1", "29", "0.5"],
]


def oasis2_cls(root: Path) -> None:
    for seed, row in enumerate(LONGITUDINAL[1:]):
        part = 1 if row[0] < "OAS2_0010" else 2
        for number in (1, 2):
            analyze(root / f"OAS2_RAW_PART{part}" / row[1] / "RAW" / f"mpr-{number}.nifti.img", seed)
    excel(root / "oasis_longitudinal_demographics-8d83e569fa2e2d30.xlsx", LONGITUDINAL)


MSD = {
    "msd_brain": ("Task01_BrainTumour", ["FLAIR", "T1w", "t1gd", "T2w"], ["BRATS_001", "BRATS_002"]),
    "msd_heart": ("Task02_Heart", ["MRI"], ["la_003", "la_004"]),
    "msd_liver": ("Task03_Liver", ["CT"], ["liver_0", "liver_1"]),
    "msd_hippocampus": ("Task04_Hippocampus", ["MRI"], ["hippocampus_001", "hippocampus_003"]),
    "msd_prostate": ("Task05_Prostate", ["T2", "ADC"], ["prostate_00", "prostate_01"]),
    "msd_lung": ("Task06_Lung", ["CT"], ["lung_001", "lung_003"]),
    "msd_pancreas": ("Task07_Pancreas", ["CT"], ["pancreas_001", "pancreas_004"]),
    "msd_hepaticvessel": ("Task08_HepaticVessel", ["CT"], ["hepaticvessel_001", "hepaticvessel_002"]),
    "msd_spleen": ("Task09_Spleen", ["CT"], ["spleen_2", "spleen_3"]),
    "msd_colon": ("Task10_Colon", ["CT"], ["colon_001", "colon_005"]),
}
MSD_LABELS = {
    "msd_brain": ["edema", "non-enhancing tumor", "enhancing tumour"],
    "msd_heart": ["left atrium"],
    "msd_liver": ["liver", "cancer"],
    "msd_hippocampus": ["Anterior", "Posterior"],
    "msd_prostate": ["PZ", "TZ"],
    "msd_lung": ["cancer"],
    "msd_pancreas": ["pancreas", "cancer"],
    "msd_hepaticvessel": ["Vessel", "Tumour"],
    "msd_spleen": ["spleen"],
    "msd_colon": ["colon cancer primaries"],
}


def msd(root: Path, name: str) -> None:
    folder, sequences, cases = MSD[name]
    names = ["background", *MSD_LABELS[name]]
    for seed, case in enumerate([*cases, "test_9"]):
        stack = np.stack([voxels(seed + place) for place in range(len(sequences))], axis=-1)
        part = "imagesTs" if case == "test_9" else "imagesTr"
        write_nifti(root / folder / part / f"{case}.nii.gz", stack if len(sequences) > 1 else stack[..., 0], AFFINE)
        if part == "imagesTr":
            label(root / folder / "labelsTr" / f"{case}.nii.gz", *range(1, len(names)))
    described = {
        "name": folder[7:],
        "licence": "CC-BY-SA 4.0",
        "tensorImageSize": "4D" if len(sequences) > 1 else "3D",
        "modality": {str(place): sequence for place, sequence in enumerate(sequences)},
        "labels": {str(value): text for value, text in enumerate(names)},
        "numTraining": len(cases),
        "numTest": 1,
        "training": [{"image": f"./imagesTr/{c}.nii.gz", "label": f"./labelsTr/{c}.nii.gz"} for c in cases],
        "test": ["./imagesTs/test_9.nii.gz"],
    }
    (root / folder / "dataset.json").write_text(json.dumps(described))


def threedseg8(root: Path) -> None:
    for name in MSD:
        msd(root, name)


def lits(root: Path) -> None:
    for batch, number in (("Training Batch 1", 0), ("Training Batch 1", 5), ("Training Batch 2", 28)):
        image(root / batch / f"volume-{number}.nii", number)
        label(root / batch / f"segmentation-{number}.nii", 1, 2)
    image(root / "LITS-Challenge-Test-Data" / "test-volume-0.nii", 9)


def abdomenct1k(root: Path) -> None:
    for number in (1, 2, 700):
        part = "AbdomenCT-1K-ImagePart1" if number < 362 else "AbdomenCT-1K-ImagePart2"
        image(root / part / f"Case_{number:05}_0000.nii.gz", number)
    for number in (1, 700):
        label(root / "Mask" / f"Case_{number:05}.nii.gz", 1, 2, 3, 4)


def vs_seg(root: Path) -> None:
    for number in (1, 97):
        for what, grid in (("t1", "T1"), ("t2", "T2")):
            image(root / f"vs_gk_{number}" / f"vs_gk_{what}_ref{grid}.nii.gz", number)
            label(root / f"vs_gk_{number}" / f"vs_gk_seg_ref{grid}.nii.gz", 1)
    label(root / "vs_gk_1" / "vs_gk_struc2_Cochlea_refT1.nii.gz", 1)


def adni_seg(root: Path) -> None:
    folder = root / "ADNI" / "002_S_0295" / "MP-RAGE"
    first = folder / "2006-04-18_08_20_30.0" / "I13722"
    image(first / "ADNI_002_S_0295_MR_MP-RAGE__br_raw_20060418193538653_1_S13408_I13722.nii")
    label(first / "samseg" / "seg.nii.gz", 2, 3, 4, 17, 41, 53, 77)
    image(folder / "2007-05-25_07_11_41.0" / "I56789" / "ADNI_002_S_0295_MR_MP-RAGE__br_raw_2007_1_S1_I56789.nii", 1)
    other = root / "ADNI" / "011_S_10021"
    image(other / "011_S_10021_T1.nii.gz", 2)
    label(other / "011_S_10021_T1_seg.nii.gz", 2, 41)


def acdc(root: Path) -> None:
    for part, number, group in (("training", 1, "DCM"), ("training", 61, "NOR"), ("testing", 101, "RV")):
        folder = root / "database" / part / f"patient{number:03}"
        for frame in (1, 12):
            image(folder / f"patient{number:03}_frame{frame:02}.nii.gz", number + frame)
            label(folder / f"patient{number:03}_frame{frame:02}_gt.nii.gz", 1, 2, 3)
        write_nifti(folder / f"patient{number:03}_4d.nii.gz", np.stack([voxels(), voxels()], axis=-1), AFFINE)
        table(folder / "Info.cfg", "ED: 1", "ES: 12", f"Group: {group}", "Height: 184.0", "NbFrame: 30", "Weight: 95.0")


def ct_rate(root: Path) -> None:
    data = root / "dataset"
    for name in ("train_1_a_1", "train_1_a_2", "train_1_b_1", "train_2_a_1", "valid_1_a_1"):
        split, patient, scan, _ = name.split("_")
        image(data / split / f"{split}_{patient}" / f"{split}_{patient}_{scan}" / f"{name}.nii.gz")
    head = "VolumeName,ClinicalInformation_EN,Technique_EN,Findings_EN,Impressions_EN"
    told = 'Not given.,Non-contrast,"Trachea, both main bronchi are open.",Emphysema.'
    reports = data / "radiology_text_reports"
    table(reports / "train_reports.csv", head, *(f"train_1_{scan}.nii.gz,{told}" for scan in ("a_1", "a_2", "b_1")))
    table(reports / "validation_reports.csv", head, 'valid_1_a_1.nii.gz,,,"Normal.",')
    kinds, marks = data / "multi_abnormality_labels", "VolumeName,Cardiomegaly,Emphysema,Lung nodule"
    rows = (
        "train_1_a_1.nii.gz,0,1,1",
        "train_1_a_2.nii.gz,0,1,1",
        "train_1_b_1.nii.gz,0,0,0",
        "train_9_a_1.nii.gz,1,0,0",
    )
    table(kinds / "train_predicted_labels.csv", marks, *rows)
    table(kinds / "valid_predicted_labels.csv", marks, "valid_1_a_1.nii.gz,0,0,0")
    table(data / "metadata" / "train_metadata.csv", "VolumeName,Manufacturer", "train_1_a_1.nii.gz,Philips")


def bimcv_r(root: Path) -> None:
    names = [f"sub-S0382{person}_ses-E0769{run}_run-{run}_bp-chest_ct" for person, run in ((5, 1), (5, 2), (6, 1))]
    for name in names:
        image(root / "CT_1" / "ct" / f"{name}.nii.gz")
    rows = [f'CT_1/ct/{name}.nii.gz,"No consolidation, no effusion."' for name in names[:2]]
    table(root / "meta" / "curated_ct_report_path_En.csv", "path,Report_en", *rows)


def openmind(root: Path) -> None:
    for scan in ("ds001486/sub-001/ses-T1/anat/sub-001_ses-T1_T1w", "ds001491/sub-001/anat/sub-001_T1w"):
        image(root / "OpenMind" / f"{scan}.nii.gz")
        label(root / "OpenMind" / f"{scan}__Data" / "deface_mask.nii.gz", 1)
        label(root / "OpenMind" / f"{scan}__Data" / "fb_mask.nii.gz", 1)
    table(root / "openneuro_metadata.csv", "dataset,subject", "ds001486,sub-001")


def brats(root: Path) -> None:
    for part, case in (
        ("Training", "BraTS2021_00000"),
        ("Training", "BraTS2021_00002"),
        ("Validation", "BraTS2021_00001"),
    ):
        folder = root / f"RSNA_ASNR_MICCAI_BraTS2021_{part}Data" / case
        for contrast in ("t1", "t1ce", "t2", "flair"):
            image(folder / f"{case}_{contrast}.nii.gz")
        if part == "Training":
            label(folder / f"{case}_seg.nii.gz", 1, 2, 4)


#: ``{name: function of the folder}``; ``chaos_ct`` also takes the fixture that writes DICOM series.
REPLICAS: dict[str, Callable[..., None]] = {
    "mmwhs_ct": lambda root: mmwhs(root, "ct"),
    "mmwhs_mr": lambda root: mmwhs(root, "mr"),
    "chaos_ct": chaos_ct,
    "oasis1_seg": oasis1_seg,
    "oasis2_cls": oasis2_cls,
    "3dseg8": threedseg8,
    **{name: (lambda root, name=name: msd(root, name)) for name in MSD},
    "lits": lits,
    "abdomenct1k": abdomenct1k,
    "vs_seg": vs_seg,
    "adni_seg": adni_seg,
    "acdc": acdc,
    "ct_rate": ct_rate,
    "bimcv_r": bimcv_r,
    "openmind": openmind,
    "brats": brats,
}
