"""Folders that no data set would have: readers refuse or go on, and never crash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from med3dinsight.datasets.public import DATASETS
from med3dinsight.errors import InputError

NAMES = [
    "volume-0\n.nii",
    "volume-99999999999999999999.nii",
    "segmentation-0.nii\n",
    "ct_train_1001_image.nii.gz ",
    "Case_00001_0000.nii.gz/inside.nii.gz",
    "patient000_frame00.nii.gz",
    "patient001/Info.cfg/x",
    "vs_gk__t1_refT1.nii.gz",
    "BraTS20__1_t1.nii",
    "OAS2_0001_MR1/RAW/mpr-1.nifti.hdr/x",
    "OASIS_OAS1_0001_MR1/aligned_norm.nii.gz/x",
    "1/DICOM_anon/x.dcm/y",
    "000_S_0000/seg.nii.gz",
    "ds000001/sub-/x.nii.gz",
    "ü ~ $(x)/sub-S1_ses-E1_\t_ct.nii.gz",
    "train_1_a_1.nii.gz.nii.gz",
    "Task03_Liver/dataset.json/x",
    "x" * 240 + ".nii.gz",
]


@pytest.mark.parametrize("name", DATASETS)
def test_odd_names_are_refused_or_left_alone(tmp_path, name):
    for odd in NAMES:
        (tmp_path / odd).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / odd).touch()
    with open(os.fsencode(tmp_path) + b"/volume-1\xff.nii", "wb"):
        pass
    layout = DATASETS[name]
    layout.recognises(tmp_path)
    try:
        sources, problems = layout.find(tmp_path, "")
    except InputError:
        return
    assert len({source.id for source in sources}) == len(sources)
    assert all(Path(source.image).is_file() or Path(source.image).name == "DICOM_anon" for source in sources)
    assert all(row.reason and row.hint for row in problems + layout.oddities(tmp_path, sources))


@pytest.mark.parametrize("name", DATASETS)
def test_tables_and_texts_of_noise_do_not_stop_a_reader(replica, name):
    root = replica(name)
    images = {source.image for source in DATASETS[name].find(root, "")[0]}
    for path in root.rglob("*"):
        if path.suffix in (".csv", ".xlsx", ".txt", ".cfg"):
            path.write_bytes(bytes(range(256)) * 4)
    sources, problems = DATASETS[name].find(root, "")
    assert {source.image for source in sources} == images
    assert all(row.reason and row.hint for row in problems + DATASETS[name].oddities(root, sources))


def test_a_description_of_noise_is_refused(replica):
    root = replica("msd_spleen")
    (root / "Task09_Spleen" / "dataset.json").write_bytes(b"\xff{")
    assert DATASETS["msd_spleen"].recognises(root)
    with pytest.raises(InputError, match=r"dataset\.json"):
        DATASETS["msd_spleen"].find(root, "")
