"""Several series in one folder, and several stacks in one series: listed, named, read apart."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from med3dinsight.errors import InputError
from med3dinsight.volumes import dicom
from med3dinsight.volumes.reading import read_header, read_volume


def voxels(count=6, seed=0):
    return np.random.default_rng(seed).integers(-1000, 1500, (9, 7, count)).astype(np.int16)


@pytest.fixture
def put(tmp_path, dicom_series):
    """Adds slices to the one folder ``scan``, under their own names; returns that folder."""
    counter = iter(range(100))

    def add(stack, uid, *, fields=None, **options):
        part = next(counter)
        each = {k: {"SeriesInstanceUID": uid, **(fields(k) if fields else {})} for k in range(stack.shape[2])}
        (tmp_path / "scan").mkdir(exist_ok=True)
        for path in dicom_series(tmp_path / f"part{part}", stack, changes=each, **options):
            path.rename(tmp_path / "scan" / f"{part}_{path.name}")
        return tmp_path / "scan"

    return add


def report(folder, uid="1.2.8"):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.88.11", generate_uid()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.SeriesInstanceUID, data.Modality = uid, "SR"
    pydicom.dcmwrite(folder / "report.dcm", data, enforce_file_format=True)


def test_series_are_listed_by_uid_and_read_by_name(put):
    folder = put(voxels(6, 1), "1.2.9", fields=lambda k: {"SeriesDescription": "late\nphase"})
    put(voxels(4, 2), "1.2.3", modality="MR")
    listed = dicom.list_series(folder)
    assert [(item.uid, item.modality, item.description, item.what, item.num_slices) for item in listed] == [
        ("1.2.3", "MR", "", "volume", 4),
        ("1.2.9", "CT", "late phase", "volume", 6),
    ]
    assert [path.name for path in listed[0].files] == [f"1_slice{7 * k:02d}.dcm" for k in range(4)]
    for item, seed in zip(listed, (2, 1), strict=True):
        assert np.array_equal(dicom.read_series(folder, item.uid).values, voxels(item.num_slices, seed))
        assert read_header(folder, item.uid).shape == read_volume(folder, item.uid).array.shape


def test_several_series_and_none_named_are_listed_in_the_error(put):
    folder = put(voxels(), "1.2.9", fields=lambda k: {"SeriesDescription": "late"})
    put(voxels(4), "1.2.3", modality="MR")
    with pytest.raises(InputError) as caught:
        read_volume(folder)
    assert "2 DICOM series: 1.2.3 (MR, 4 slices); 1.2.9 (CT, 6 slices, late)" in caught.value.message


def test_an_unknown_series_is_named(put):
    folder = put(voxels(), "1.2.34")
    with pytest.raises(InputError, match=r"holds no series 1\.2\.35") as caught:
        read_volume(folder, "1.2.35")
    assert caught.value.hint == "did you mean 1.2.34?"


def test_a_localizer_and_a_report_do_not_hide_the_only_scan(put):
    folder = put(voxels(seed=5), "1.2.3")
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}
    put(voxels(1), "1.2.4", fields=lambda k: scout)
    report(folder)
    assert [(item.uid, item.what) for item in dicom.list_series(folder)] == [
        ("1.2.3", "volume"),
        ("1.2.4", "localizer"),
        ("1.2.8", "no image"),
    ]
    assert np.array_equal(dicom.read_series(folder).values, voxels(seed=5))


def test_a_scout_under_the_uid_of_the_scan_is_parted(put):
    """Its instance number must not look like a hole either."""
    scout = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"], "InstanceNumber": 40}
    folder = put(voxels(1), "1.2.3", fields=lambda k: scout, axes=(0, 1, 0, 0, 0, -1))
    put(voxels(seed=5), "1.2.3")
    assert [(item.uid, item.what, item.num_slices) for item in dicom.list_series(folder)] == [
        ("1.2.3/1", "volume", 6),
        ("1.2.3/2", "localizer", 1),
    ]
    assert np.array_equal(dicom.read_series(folder).values, voxels(seed=5))
    with pytest.raises(InputError, match=r"series 1\.2\.3 of scan holds 2 stacks"):
        dicom.read_series(folder, "1.2.3")


def test_one_slice_is_listed_as_one(put):
    folder = put(voxels(1), "1.2.3")
    assert [item.what for item in dicom.list_series(folder)] == ["one slice"]


def test_orientations_of_one_series_are_parted(put):
    folder = put(voxels(5, 1), "1.2.3", modality="MR")
    put(voxels(4, 2), "1.2.3", modality="MR", axes=(0, 1, 0, 0, 0, -1))
    listed = dicom.list_series(folder)
    assert [(item.uid, item.description) for item in listed] == [
        ("1.2.3/1", "axial 9 x 7"),
        ("1.2.3/2", "sagittal 9 x 7"),
    ]
    assert np.array_equal(dicom.read_series(folder, "1.2.3/1").values, voxels(5, 1))
    assert dicom.read_series(folder, "1.2.3/2").values.shape == (9, 7, 4)


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("EchoNumbers", [1, 2, 10]),
        ("EchoTime", [2.5, 12, 110]),
        ("TemporalPositionIdentifier", [1, 2, 3]),
        ("AcquisitionNumber", [7, 8, 11]),
        ("DiffusionBValue", [0.0, 50.0, 1000.0]),
        ("NominalPercentageOfCardiacPhase", [0.0, 40.0, 75.0]),
        ("ImageType", [["DERIVED", "PRIMARY", kind] for kind in ("M", "P", "R")]),
    ],
)
def test_stacks_at_one_place_are_parted_by_the_element_that_tells_them_apart(put, keyword, values):
    for number, value in enumerate(values):
        # Instance numbers run over all stacks, slice by slice, as scanners write them.
        folder = put(
            voxels(6, number),
            "1.2.3",
            fields=lambda k, number=number, value=value: {keyword: value, "InstanceNumber": 3 * k + number + 1},
        )
    listed = dicom.list_series(folder)
    assert [item.uid for item in listed] == ["1.2.3/1", "1.2.3/2", "1.2.3/3"]
    assert all(item.description.startswith(keyword) for item in listed)
    for number, item in enumerate(listed):
        assert np.array_equal(dicom.read_series(folder, item.uid).values, voxels(6, number))


def test_two_elements_part_four_stacks(put):
    for echo in (1, 2):
        for kind in ("M", "P"):
            fields = {"EchoNumbers": echo, "ImageType": ["ORIGINAL", "PRIMARY", kind]}
            folder = put(voxels(4, 2 * echo + (kind == "P")), "1.2.3", fields=lambda k, fields=fields: fields)
    listed = dicom.list_series(folder)
    assert [item.description for item in listed] == [
        f"EchoNumbers {echo}, ImageType ORIGINAL\\PRIMARY\\{kind}" for echo in (1, 2) for kind in ("M", "P")
    ]
    assert np.array_equal(dicom.read_series(folder, "1.2.3/4").values, voxels(4, 5))


def test_acquisitions_that_follow_each_other_stay_one_stack(put):
    folder = put(voxels(), "1.2.3", fields=lambda k: {"AcquisitionNumber": 1 + k // 3, "TriggerTime": 10 * k})
    assert np.array_equal(dicom.read_series(folder).values, voxels())


def test_doubled_slices_that_nothing_tells_apart_are_refused(put):
    """Trigger times of a cine differ from slice to slice: they part no stacks."""
    folder = put(voxels(), "1.2.3", fields=lambda k: {"TriggerTime": 31 * k})
    put(voxels(), "1.2.3", fields=lambda k: {"TriggerTime": 31 * k + 7})
    with pytest.raises(InputError, match="two slices at one position"):
        dicom.read_series(folder)


def test_a_missing_slice_of_one_stack_leaves_the_other(put):
    folder = put(voxels(), "1.2.3", fields=lambda k: {"EchoNumbers": 1})
    put(voxels(seed=1), "1.2.3", fields=lambda k: {"EchoNumbers": 2})
    (folder / "0_slice21.dcm").unlink()
    with pytest.raises(InputError, match=r"lacks a slice between 0_slice14\.dcm and 0_slice28\.dcm"):
        dicom.read_series(folder, "1.2.3/1")
    assert np.array_equal(dicom.read_series(folder, "1.2.3/2").values, voxels(seed=1))


def test_a_broken_file_leaves_other_series_readable_by_name(put):
    folder = put(voxels(), "1.2.3")
    put(voxels(), "1.2.4")
    (folder / "broken.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 50)
    listed = dicom.list_series(folder)
    assert [(item.uid, item.what) for item in listed] == [
        ("", "unreadable"),
        ("1.2.3", "volume"),
        ("1.2.4", "volume"),
    ]
    assert "broken.dcm" in listed[0].reason
    assert np.array_equal(dicom.read_series(folder, "1.2.3").values, voxels())
    with pytest.raises(InputError, match=r"broken\.dcm"):
        dicom.read_series(folder)


@pytest.mark.parametrize("uid", [None, ""])
def test_a_series_without_uid_beside_another_has_a_name_to_be_read_by(put, uid):
    folder = put(voxels(5, 1), uid)
    put(voxels(4, 2), "1.2.3")
    assert [(item.uid, item.num_slices) for item in dicom.list_series(folder)] == [("1.2.3", 4), ("no-uid", 5)]
    assert np.array_equal(dicom.read_series(folder, "no-uid").values, voxels(5, 1))
    assert np.array_equal(dicom.read_series(folder, "1.2.3").values, voxels(4, 2))
    with pytest.raises(InputError, match=r"2 DICOM series: 1\.2\.3 \(CT, 4 slices\); no-uid \(CT, 5 slices\)"):
        dicom.read_series(folder)


def test_stacks_without_uid_are_named_and_a_broken_slice_beside_them_may_be_theirs(put):
    folder = put(voxels(5, 1), None)
    put(voxels(4, 2), None, axes=(0, 1, 0, 0, 0, -1))
    assert [item.uid for item in dicom.list_series(folder)] == ["no-uid/1", "no-uid/2"]
    assert np.array_equal(dicom.read_series(folder, "no-uid/2").values, voxels(4, 2))
    data = pydicom.dcmread(next(iter(sorted(folder.iterdir()))))
    del data.Rows
    data.save_as(folder / "broken.dcm")
    with pytest.raises(InputError, match=r"broken\.dcm"):
        dicom.read_series(folder, "no-uid/2")
