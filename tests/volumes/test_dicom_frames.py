"""Enhanced multi-frame files: frames at their places, each in its own unit."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
import SimpleITK
from enhanced_dicom import affine_of, group, write_enhanced
from pydicom.uid import UID

from med3dinsight.errors import InputError
from med3dinsight.volumes import dicom
from med3dinsight.volumes.reading import read_header, read_volume


def stored(count=6, seed=0):
    steps = np.random.default_rng(seed).integers(-30, 31, (48, 40, count))
    return (np.cumsum(steps, axis=0) + 800).astype(np.int16)


def content(**values):
    return [group("FrameContentSequence", **values)]


@pytest.mark.parametrize("axes", [(1, 0, 0, 0, 1, 0), (0, 1, 0, 0, 0, -1)], ids=["axial", "sagittal"])
def test_frames_and_slices_of_the_same_scan_are_one_volume(tmp_path, dicom_series, axes):
    dicom_series(tmp_path / "slices", stored() - 1024, axes=axes)
    path = write_enhanced(tmp_path / "frames" / "one.dcm", stored(), axes=axes)
    slices, frames = read_volume(tmp_path / "slices"), read_volume(path)
    assert np.array_equal(slices.array, frames.array)
    assert np.allclose(slices.affine, frames.affine, atol=1e-9)
    assert frames.modality == "ct"
    assert np.array_equal(read_volume(path.parent).array, frames.array)
    assert read_header(path).shape == frames.array.shape


def test_the_place_is_that_of_simpleitk(tmp_path):
    path = write_enhanced(tmp_path / "one.dcm", stored())
    image = SimpleITK.ReadImage(str(path))
    ours = dicom.read_series(path)
    assert np.array_equal(ours.values, SimpleITK.GetArrayFromImage(image).T)
    assert np.allclose(ours.affine, affine_of(image), atol=1e-6)


def test_frames_are_sorted_by_position(tmp_path):
    places = [3, 0, 5, 1, 4, 2]
    path = write_enhanced(tmp_path / "one.dcm", stored(), places=places)
    assert np.array_equal(dicom.read_series(path).values, stored()[:, :, np.argsort(places)] - 1024)


def test_each_frame_is_rescaled_by_its_own_numbers(tmp_path):
    rescale = [(1 + 0.25 * frame, -3.0 * frame) for frame in range(6)]
    path = write_enhanced(tmp_path / "one.dcm", stored(), rescale=rescale)
    values = dicom.read_series(path).values
    slopes, intercepts = np.array(rescale).T
    assert np.array_equal(values, (stored() * slopes + intercepts).astype(np.float32))
    assert read_header(path).itemsize == 4


@pytest.mark.parametrize("end", [".5", ".4.90"])
def test_compressed_frames_give_the_voxels_that_were_written(tmp_path, end):
    path = write_enhanced(tmp_path / "one.dcm", stored())
    data = pydicom.dcmread(path)
    data.compress(UID("1.2.840.10008.1.2" + end), generate_instance_uid=False)
    data.save_as(path)
    assert np.array_equal(dicom.read_series(path).values, stored() - 1024)


def test_frames_of_several_fragments_are_put_together_by_the_table_of_offsets(tmp_path):
    path = write_enhanced(tmp_path / "one.dcm", stored())
    data = pydicom.dcmread(path)
    data.compress(UID("1.2.840.10008.1.2.4.90"), generate_instance_uid=False)
    frames = list(pydicom.encaps.generate_frames(data.PixelData, number_of_frames=6))
    data.PixelData = pydicom.encaps.encapsulate(frames, fragments_per_frame=3)
    data.save_as(path)
    assert np.array_equal(dicom.read_series(path).values, stored() - 1024)


def test_time_points_of_one_file_are_parted(tmp_path):
    path = write_enhanced(
        tmp_path / "one.dcm",
        stored(),
        places=[0, 0, 1, 1, 2, 2],
        extra=lambda frame: content(TemporalPositionIndex=1 + frame % 2, InStackPositionNumber=1 + frame // 2),
        modality="MR",
    )
    listed = dicom.list_series(tmp_path)
    assert [(item.num_slices, item.description) for item in listed] == [
        (3, "TemporalPositionIdentifier 1"),
        (3, "TemporalPositionIdentifier 2"),
    ]
    assert np.array_equal(dicom.read_series(path, listed[1].uid).values, stored()[:, :, 1::2] - 1024)


def test_echoes_of_one_file_are_parted(tmp_path):
    write_enhanced(
        tmp_path / "one.dcm",
        stored(),
        places=[0, 1, 2, 0, 1, 2],
        extra=lambda frame: [group("MREchoSequence", EffectiveEchoTime=[30.0, 110.0][frame // 3])],
        modality="MR",
    )
    assert [item.description for item in dicom.list_series(tmp_path)] == ["EchoTime 30.0", "EchoTime 110.0"]


def test_a_missing_frame_is_noticed(tmp_path):
    path = write_enhanced(tmp_path / "one.dcm", stored(), places=[0, 1, 2, 4, 5, 6])
    with pytest.raises(InputError, match=r"lacks a slice between one\.dcm frame 3 and one\.dcm frame 4"):
        dicom.read_series(path)
    path = write_enhanced(
        tmp_path / "two.dcm", stored(), extra=lambda frame: content(InStackPositionNumber=frame + 1 + (frame > 3))
    )
    with pytest.raises(InputError, match="lacks the slice after instance number 4"):
        dicom.read_series(path)
