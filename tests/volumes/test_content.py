"""The hash of a scan's content: the same for every file of one scan, another for every other scan."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from med3dinsight.volumes.content import content_hash
from med3dinsight.volumes.reading import read_volume

VALUES = np.random.default_rng(3).integers(-1000, 1000, (6, 7, 9)).astype(np.int16)


def save(path, values=VALUES, affine=None):
    nib.save(nib.Nifti1Image(values, np.diag([1.0, 2, 3, 1]) if affine is None else affine), path)
    return content_hash(read_volume(path).array)


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SAR", "PIL", "IRP"])
@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64, np.int32])
def test_every_file_of_one_scan_has_one_hash(tmp_path, axes, dtype):
    image = nib.Nifti1Image(VALUES.astype(dtype), np.diag([1.0, 2, 3, 1]))
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(tuple(axes))
    )
    nib.save(image.as_reoriented(turn), tmp_path / "turned.nii.gz")
    assert content_hash(read_volume(tmp_path / "turned.nii.gz").array) == save(tmp_path / "plain.nii")


def test_formats_do_not_matter(tmp_path):
    expected = save(tmp_path / "a.nii")
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(tmp_path / "a.nii")), str(tmp_path / "a.nrrd"))
    assert content_hash(read_volume(tmp_path / "a.nrrd").array) == expected


def test_slope_and_intercept_do_not_matter_and_neither_does_the_sign_of_zero(tmp_path):
    values = VALUES - VALUES[0, 0, 0]
    image = nib.Nifti1Image((values + 2000).astype(np.uint16), np.diag([1.0, 2, 3, 1]))
    image.header.set_slope_inter(1, -2000)
    nib.save(image, tmp_path / "scaled.nii")
    assert content_hash(read_volume(tmp_path / "scaled.nii").array) == save(tmp_path / "plain.nii", values)
    negative = np.where(values == 0, -0.0, values).astype(np.float32)
    assert content_hash(negative) == content_hash(values)


def test_other_content_has_another_hash(tmp_path):
    changed = VALUES.copy()
    changed[2, 4, 6] += 1
    mirrored = VALUES[::-1]
    cut = VALUES[:5]
    reshaped = VALUES.reshape(7, 6, 9)
    hashes = {content_hash(np.asarray(values)) for values in (VALUES, changed, mirrored, cut, reshaped)}
    assert len(hashes) == 5


def test_the_order_in_memory_does_not_matter():
    assert content_hash(np.asfortranarray(VALUES)) == content_hash(np.ascontiguousarray(VALUES))
    assert content_hash(VALUES[::-1][::-1]) == content_hash(VALUES)
