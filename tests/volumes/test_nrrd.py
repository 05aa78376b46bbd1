"""NRRD and MetaImage, against NIfTI files of the same image written by SimpleITK and read by nibabel."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from med3dinsight.errors import InputError
from med3dinsight.volumes.reading import read_volume


def image(values=None):
    array = np.random.default_rng(1).integers(-900, 900, (7, 6, 5)).astype(np.int16) if values is None else values
    result = SimpleITK.GetImageFromArray(array)
    result.SetSpacing((0.7, 1.1, 3.0))
    result.SetOrigin((10, -20, 30))
    turned = nib.eulerangles.euler2mat(0.1, 0.2, -0.1) @ np.diag([-1, 1, -1])
    result.SetDirection(turned.ravel().tolist())
    return result


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr", "a.mha", "a.mhd"])
def test_values_and_place_are_those_of_the_nifti_twin(tmp_path, name, compressed):
    SimpleITK.WriteImage(image(), str(tmp_path / name), useCompression=compressed)
    SimpleITK.WriteImage(image(), str(tmp_path / "twin.nii"))
    twin = nib.as_closest_canonical(nib.load(tmp_path / "twin.nii"))
    volume = read_volume(tmp_path / name)
    assert np.array_equal(volume.array, np.asarray(twin.dataobj))
    assert np.allclose(volume.affine, twin.affine, atol=1e-4)
    assert volume.source_shape == (5, 6, 7)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_a_truncated_file_is_refused(tmp_path, name, compressed):
    SimpleITK.WriteImage(image(), str(tmp_path / name), useCompression=compressed)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(InputError, match=r"a\.\w+ is truncated"):
        read_volume(tmp_path / name)


@pytest.mark.parametrize("place", ["../secret.raw", "/etc/passwd", "LIST", "sub/voxels.raw", "..", "v%02d.raw 1 9 1"])
@pytest.mark.parametrize(("name", "key"), [("a.nhdr", "data file: "), ("a.mhd", "ElementDataFile = ")])
def test_a_header_that_names_a_file_elsewhere_is_refused(tmp_path, name, key, place):
    SimpleITK.WriteImage(image(), str(tmp_path / name))
    text = (tmp_path / name).read_text()
    (tmp_path / name).write_text(text.replace(f"{key}a.raw", f"{key}{place}"))
    assert place in (tmp_path / name).read_text()
    with pytest.raises(InputError, match="keeps its voxels in"):
        read_volume(tmp_path / name)


def test_a_link_to_voxels_elsewhere_is_refused(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    SimpleITK.WriteImage(image(), str(folder / "a.mhd"))
    (folder / "a.raw").rename(tmp_path / "secret.raw")
    (folder / "a.raw").symlink_to(tmp_path / "secret.raw")
    with pytest.raises(InputError, match="keeps its voxels in"):
        read_volume(folder / "a.mhd")


def test_a_header_whose_voxels_are_missing_is_refused(tmp_path):
    SimpleITK.WriteImage(image(), str(tmp_path / "a.mhd"))
    (tmp_path / "a.raw").unlink()
    with pytest.raises(InputError, match="which is missing"):
        read_volume(tmp_path / "a.mhd")


def test_a_header_that_declares_more_than_the_file_can_hold_is_refused_at_once(tmp_path):
    SimpleITK.WriteImage(image(), str(tmp_path / "a.mha"))
    content = (tmp_path / "a.mha").read_bytes()
    (tmp_path / "a.mha").write_bytes(content.replace(b"DimSize = 5 6 7", b"DimSize = 500 600 700"))
    with pytest.raises(InputError, match="truncated"):
        read_volume(tmp_path / "a.mha")


def test_nan_is_refused(tmp_path):
    values = np.ones((4, 4, 4), dtype=np.float32)
    values[1, 1, 1] = np.nan
    SimpleITK.WriteImage(image(values), str(tmp_path / "a.nrrd"))
    with pytest.raises(InputError, match="1 voxels that are NaN"):
        read_volume(tmp_path / "a.nrrd")


def test_channels_are_refused_where_none_was_asked_for(tmp_path):
    SimpleITK.WriteImage(SimpleITK.Image([4, 4, 4, 2], SimpleITK.sitkInt16), str(tmp_path / "a.nrrd"))
    SimpleITK.WriteImage(SimpleITK.Image([4, 4, 4], SimpleITK.sitkVectorUInt8, 3), str(tmp_path / "b.mha"))
    for name in ("a.nrrd", "b.mha"):
        with pytest.raises(InputError, match="channels, not one 3D volume"):
            read_volume(tmp_path / name)


def test_rubbish_is_refused(tmp_path):
    for name in ("a.nrrd", "a.mha", "a.mhd"):
        (tmp_path / name).write_bytes(b"no image")
        with pytest.raises(InputError, match=name):
            read_volume(tmp_path / name)
