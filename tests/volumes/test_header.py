"""Headers tell what reading will give, and are read without the voxels."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from med3dinsight.errors import InputError
from med3dinsight.volumes.reading import read_header, read_volume

AFFINE = np.array([[0, 0, 2.5, 12], [-0.7, 0, 0, -30], [0, 0.9, 0, 5], [0, 0, 0, 1.0]])
VALUES = np.random.default_rng(0).integers(-1000, 1000, (5, 6, 7)).astype(np.int16)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.nhdr", "a.mha", "a.mhd"])
def test_header_and_volume_agree(tmp_path, name):
    nib.save(nib.Nifti1Image(VALUES, AFFINE), tmp_path / "origin.nii")
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(tmp_path / "origin.nii")), str(tmp_path / name))
    header, volume = read_header(tmp_path / name), read_volume(tmp_path / name)
    assert header.shape == volume.array.shape == (7, 5, 6)
    assert header.spacing_mm == pytest.approx(volume.spacing_mm)
    assert (header.num_channels, header.itemsize, header.modality) == (1, 2, None)
    assert header.file_bytes == sum(path.stat().st_size for path in tmp_path.glob("a.*"))


def test_a_series_has_a_header_too(tmp_path, dicom_series):
    paths = dicom_series(tmp_path, np.transpose(VALUES, (0, 2, 1)))
    header, volume = read_header(tmp_path), read_volume(tmp_path)
    assert header.shape == volume.array.shape
    assert header.spacing_mm == pytest.approx(volume.spacing_mm)
    assert header.modality == "ct"
    assert header.file_bytes == sum(path.stat().st_size for path in paths)


def test_voxels_are_not_needed_for_a_header(tmp_path):
    content = gzip.compress(nib.Nifti1Image(np.random.default_rng(0).random((40, 40, 40)), AFFINE).to_bytes())
    (tmp_path / "cut.nii.gz").write_bytes(content[: len(content) // 2])
    assert read_header(tmp_path / "cut.nii.gz").itemsize == 8
    with pytest.raises(InputError, match="truncated"):
        read_volume(tmp_path / "cut.nii.gz")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_channels_are_counted_and_picked(tmp_path, name):
    four = np.random.default_rng(0).integers(0, 9, (5, 6, 7, 3)).astype(np.uint8)
    nib.save(nib.Nifti1Image(four, AFFINE), tmp_path / name)
    assert read_header(tmp_path / name).num_channels == 3
    oracle = nib.as_closest_canonical(nib.load(tmp_path / name)).get_fdata()
    for channel in range(3):
        assert np.array_equal(read_volume(tmp_path / name, channel=channel).array, oracle[..., channel])
    with pytest.raises(InputError, match=r'holds 3 channels.*\[prepare\] channels = "split"'):
        read_volume(tmp_path / name)
    for channel in (3, -1):
        with pytest.raises(InputError, match="no channel"):
            read_volume(tmp_path / name, channel=channel)


def test_a_3d_file_has_channel_0_and_no_other(tmp_path):
    nib.save(nib.Nifti1Image(VALUES, AFFINE), tmp_path / "a.nii")
    assert np.array_equal(read_volume(tmp_path / "a.nii", channel=0).array, read_volume(tmp_path / "a.nii").array)
    with pytest.raises(InputError, match="no channel 1: it holds 1"):
        read_volume(tmp_path / "a.nii", channel=1)
