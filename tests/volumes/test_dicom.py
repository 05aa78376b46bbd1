"""DICOM series, against SimpleITK's series reader, and the checks that it does not make."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from med3dinsight.errors import InputError
from med3dinsight.volumes.reading import read_volume


def voxels(count=8):
    return np.random.default_rng(2).integers(-1000, 1500, (9, 7, count)).astype(np.int16)


OBLIQUE = (0.98, 0.17, 0.1, -0.18, 0.98, 0.06)


def unit(axes):
    row = np.array(axes[:3]) / np.linalg.norm(axes[:3])
    column = np.array(axes[3:]) - row * (row @ axes[3:])
    return (*row, *(column / np.linalg.norm(column)))


@pytest.mark.parametrize(
    "axes",
    [(1, 0, 0, 0, 1, 0), (-1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, 0, -1), unit(OBLIQUE)],
    ids=["axial", "mirrored", "sagittal", "coronal", "oblique"],
)
def test_values_and_place_are_those_of_simpleitk(tmp_path, dicom_series, axes):
    dicom_series(tmp_path, voxels(), axes=axes)
    volume = read_volume(tmp_path)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path)))
    oracle = reader.Execute()
    assert volume.source_shape == oracle.GetSize()
    for index in [(0, 0, 0), (8, 6, 7), (3, 5, 1)]:
        lps = oracle.TransformIndexToPhysicalPoint(index)
        place = np.linalg.solve(volume.affine, [-lps[0], -lps[1], lps[2], 1])[:3]
        assert np.allclose(place, np.round(place), atol=1e-3)
        assert volume.array[tuple(np.round(place).astype(int))] == oracle[index]
    assert volume.modality == "ct"


def test_the_modality_is_read_from_the_tag(tmp_path, dicom_series):
    dicom_series(tmp_path / "mr", voxels(), modality="MR")
    dicom_series(tmp_path / "pet", voxels(), modality="PT")
    assert read_volume(tmp_path / "mr").modality == "mr"
    assert read_volume(tmp_path / "pet").modality is None


def test_each_slice_is_rescaled_by_its_own_numbers(tmp_path, dicom_series):
    dicom_series(tmp_path / "a", voxels())
    dicom_series(tmp_path / "b", voxels(), changes={3: {"RescaleIntercept": -1000}})
    difference = read_volume(tmp_path / "b").array - read_volume(tmp_path / "a").array
    assert [int(plane.max()) for plane in difference.transpose(2, 0, 1)] == [0, 0, 0, 24, 0, 0, 0, 0]


def test_a_missing_slice_is_noticed(tmp_path, dicom_series):
    paths = dicom_series(tmp_path, voxels())
    paths[4].unlink()
    with pytest.raises(InputError, match=r"lacks a slice .*: 5\.00 mm, elsewhere 2\.50 mm"):
        read_volume(tmp_path)


def test_a_hole_in_the_instance_numbers_is_noticed(tmp_path, dicom_series):
    dicom_series(tmp_path, voxels(), changes={number: {"InstanceNumber": number + 5} for number in range(4, 8)})
    with pytest.raises(InputError, match="lacks the slice after instance number 4"):
        read_volume(tmp_path)


def test_numbers_in_steps_or_not_at_all_are_no_hole(tmp_path, dicom_series):
    dicom_series(
        tmp_path / "a", voxels(), changes={number: {"InstanceNumber": 300 - 2 * number} for number in range(8)}
    )
    dicom_series(tmp_path / "b", voxels(), changes={number: {"InstanceNumber": None} for number in range(8)})
    assert np.array_equal(read_volume(tmp_path / "a").array, read_volume(tmp_path / "b").array)


def test_gaps_within_three_percent_are_accepted_and_averaged(tmp_path, dicom_series):
    dicom_series(tmp_path, voxels(), positions=[0, 1.01, 2, 3.02, 4, 5.01, 6, 7])
    assert read_volume(tmp_path).spacing_mm[2] == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("positions", "reason"),
    [([0, 1, 2, 3, 4.2, 5.2, 6.2, 7.2], "mm apart"), ([0, 1, 2, 2, 3, 4, 5, 6], "two slices at one position")],
)
def test_uneven_and_doubled_slices_are_refused(tmp_path, dicom_series, positions, reason):
    dicom_series(tmp_path, voxels(), positions=positions)
    with pytest.raises(InputError, match=reason):
        read_volume(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"SeriesInstanceUID": "1.2.3"}, "2 DICOM series"),
        ({"ImageOrientationPatient": [0, 1, 0, 1, 0, 0]}, "another orientation"),
        ({"PixelSpacing": [0.5, 0.8]}, "another size or pixel spacing"),
        ({"NumberOfFrames": 4}, "many frames"),
        ({"SamplesPerPixel": 3}, "colour"),
        ({"PixelSpacing": None}, "no readable CT or MR slice"),
        ({"PixelData": b"\0\0"}, "is truncated"),
    ],
)
def test_a_slice_that_does_not_fit_is_refused(tmp_path, dicom_series, change, reason):
    dicom_series(tmp_path, voxels(), changes={5: change})
    with pytest.raises(InputError, match=reason):
        read_volume(tmp_path)


def test_a_truncated_slice_is_refused(tmp_path, dicom_series):
    paths = dicom_series(tmp_path, voxels())
    paths[2].write_bytes(paths[2].read_bytes()[:-40])
    with pytest.raises(InputError, match=paths[2].name):
        read_volume(tmp_path)


def test_other_files_in_the_folder_are_left_alone(tmp_path, dicom_series):
    dicom_series(tmp_path, voxels())
    before = read_volume(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    assert np.array_equal(read_volume(tmp_path).array, before.array)


def test_a_single_file_or_slice_is_refused(tmp_path, dicom_series):
    paths = dicom_series(tmp_path, voxels(1))
    with pytest.raises(InputError, match="holds 1 DICOM slices"):
        read_volume(tmp_path)
    with pytest.raises(InputError, match="is one DICOM slice"):
        read_volume(paths[0])
