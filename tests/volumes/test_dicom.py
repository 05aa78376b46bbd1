"""DICOM series, against SimpleITK's series reader, and the checks that it does not make."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK
from enhanced_dicom import affine_of

from med3dinsight.errors import InputError
from med3dinsight.volumes import dicom
from med3dinsight.volumes.reading import read_header, read_volume


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


def test_gaps_within_three_percent_are_accepted_averaged_and_noted(tmp_path, dicom_series):
    dicom_series(tmp_path / "a", voxels(), positions=[0, 1.01, 2, 3.02, 4, 5.01, 6, 7])
    dicom_series(tmp_path / "b", voxels())
    volume = read_volume(tmp_path / "a")
    assert volume.spacing_mm[2] == pytest.approx(2.5)
    assert volume.notes == ("gaps between slices differ by 2.0 %",)
    assert read_volume(tmp_path / "b").notes == ()


def tilted(degrees, count=8):
    step = 2.5 * np.tan(np.radians(degrees))
    return {k: {"ImagePositionPatient": [-10, 20 + k * step, -30 + 2.5 * k]} for k in range(count)}


def test_a_tilted_gantry_stays_in_the_affine_and_is_noted(tmp_path, dicom_series):
    dicom_series(tmp_path, voxels(), changes=tilted(20))
    volume = read_volume(tmp_path)
    assert volume.notes == ("slices are sheared by 20.0 degrees (tilted gantry)",)
    for k in range(8):  # slice k begins where its header says (LPS), voxel for voxel
        x, y, z = np.linalg.solve(volume.affine, [10, -20 - k * 2.5 * np.tan(np.radians(20)), -30 + 2.5 * k, 1])[:3]
        assert np.allclose([x, y, z], np.round([x, y, z]), atol=1e-6)
        assert volume.array[round(x), round(y), round(z)] == voxels()[0, 0, k]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (tilted(40), "is sheared by 40 degrees"),
        ({4: {"ImagePositionPatient": [-9, 20, -20]}}, r"slice28.dcm lies 1\.00 mm off the line"),
    ],
)
def test_slices_that_do_not_lie_on_top_of_each_other_are_refused(tmp_path, dicom_series, changes, reason):
    dicom_series(tmp_path, voxels(), changes=changes)
    with pytest.raises(InputError, match=reason):
        read_volume(tmp_path)


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
        ({"PixelSpacing": None}, "its pixel spacing is missing"),
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


def test_names_and_suffixes_do_not_matter(tmp_path, dicom_series):
    paths = dicom_series(tmp_path, voxels())
    before = read_volume(tmp_path)
    for number, path in enumerate(paths):
        path.rename(tmp_path / ["IM1", "b.IMA", "c.dcm", "1.2.840.7", "e.DCM", "F", "g.ima", "h.img.dcm"][number])
    assert np.array_equal(read_volume(tmp_path).array, before.array)


def test_files_without_the_mark_are_read_where_they_are_dicom(tmp_path, dicom_series):
    paths = dicom_series(tmp_path, voxels())
    before = read_volume(tmp_path)
    for path in paths:
        path.write_bytes(path.read_bytes()[132:])
    (tmp_path / "table").write_bytes(b"\x08\0\x01\0\x04\0\0\0" + b"1234" * 100)
    (tmp_path / "counts").write_bytes(b"\x02\0\0\0" * 100)
    after = read_volume(tmp_path)
    assert np.array_equal(after.array, before.array)
    assert np.array_equal(after.affine, before.affine)


def test_the_header_says_what_reading_gives(tmp_path, dicom_series):
    paths = dicom_series(tmp_path, voxels(), axes=(0, 1, 0, 0, 0, -1))
    header, volume = read_header(tmp_path), read_volume(tmp_path)
    assert header.shape == volume.array.shape
    assert header.spacing_mm == pytest.approx(volume.spacing_mm)
    assert header.itemsize == volume.array.itemsize
    assert (header.num_channels, header.modality) == (1, "ct")
    assert header.file_bytes == sum(path.stat().st_size for path in paths)


def test_a_folder_that_changed_is_read_again(tmp_path, dicom_series):
    paths = dicom_series(tmp_path, voxels())
    assert read_header(tmp_path).shape[2] == 8
    paths[-1].unlink()
    assert read_header(tmp_path).shape[2] == 7


@pytest.mark.network
def test_a_real_series_is_read_as_by_simpleitk(sample_dir):
    folder = sample_dir / "dicom_ct" / "image"
    stored = dicom.read_series(folder)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    oracle = reader.Execute()
    assert np.array_equal(stored.values, SimpleITK.GetArrayFromImage(oracle).T)
    assert np.allclose(stored.affine, affine_of(oracle), atol=1e-6)
    with pydicom.dcmread(next(folder.iterdir())) as one:
        assert one.file_meta.TransferSyntaxUID.is_compressed
