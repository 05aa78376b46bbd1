"""Place and intensity of NIfTI files and Analyze pairs of every kind, against nibabel and SimpleITK."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from med3dinsight.volumes.reading import read_header, read_volume

SHAPE = (5, 4, 3)
OBLIQUE = np.eye(4)
OBLIQUE[:3, :3] = nib.eulerangles.euler2mat(0.3, -0.2, 0.4) @ np.diag([-0.7, 1.1, 3.0])
OBLIQUE[:3, 3] = (11, -22, 33)
OTHER = np.diag([-2.0, 1, 1.5, 1])


def values(dtype=np.int16, shape=SHAPE):
    return np.random.default_rng(5).integers(0, 120, shape).astype(dtype)


def agree_with_nibabel(path, **read):
    image = nib.load(path)
    expected = nib.as_closest_canonical(image)
    volume, header = read_volume(path, **read), read_header(path)
    assert np.array_equal(volume.source_affine, image.affine)
    assert np.allclose(volume.affine, expected.affine, atol=1e-12)
    assert np.array_equal(volume.array, expected.get_fdata().astype(np.float32).reshape(volume.array.shape))
    assert header.shape == volume.array.shape
    assert header.spacing_mm == pytest.approx(volume.spacing_mm)
    return volume


def agree_with_simpleitk(path, volume):
    image = SimpleITK.ReadImage(str(path))
    array = SimpleITK.GetArrayFromImage(image).T
    assert array.shape == volume.source_shape
    to_array = np.linalg.inv(volume.affine)
    for index in itertools.product(*((0, length - 1) for length in array.shape)):
        lps = image.TransformIndexToPhysicalPoint([int(place) for place in index])
        place = to_array @ [-lps[0], -lps[1], lps[2], 1]
        assert np.allclose(place, np.round(place), atol=2e-3)
        assert volume.array[tuple(np.round(place[:3]).astype(int))] == pytest.approx(array[index], rel=1e-6)


@pytest.mark.parametrize("affine", [OBLIQUE, OTHER], ids=["oblique", "flipped"])
@pytest.mark.parametrize("forms", ["sform", "qform", "both", "both differ"])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_sform_and_qform_are_chosen_as_nibabel_and_simpleitk_do(tmp_path, affine, forms, kind):
    image = kind(values(), affine)
    image.set_sform(affine if forms != "qform" else None, 1 if forms != "qform" else 0)
    image.set_qform(OTHER if forms == "both differ" else affine, 0 if forms == "sform" else 1)
    nib.save(image, tmp_path / "a.nii.gz")
    volume = agree_with_nibabel(tmp_path / "a.nii.gz")
    assert volume.notes == ()
    # SimpleITK reads no NIfTI-2, and of two forms that differ another one than nibabel and we.
    if forms != "both differ" and kind is nib.Nifti1Image:
        agree_with_simpleitk(tmp_path / "a.nii.gz", volume)


def test_without_any_form_nibabels_rule_holds_and_is_noted(tmp_path):
    image = nib.Nifti1Image(values(), None)
    image.header.set_zooms((0.7, 1.1, 3))
    nib.save(image, tmp_path / "a.nii")
    volume = agree_with_nibabel(tmp_path / "a.nii")
    assert volume.spacing_mm == pytest.approx((0.7, 1.1, 3))
    assert "says nothing of left and right" in volume.notes[0]


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.hdr"])
def test_every_type_byte_order_and_pair_is_exact(tmp_path, dtype, order, name):
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(order + dtype))
    kind = nib.Nifti1Pair if name == "a.hdr" else nib.Nifti1Image
    nib.save(kind(values(order + dtype), OBLIQUE, header), tmp_path / name)
    volume = agree_with_nibabel(tmp_path / name)
    assert read_header(tmp_path / name).itemsize == int(dtype[1])
    if name == "a.nii" and dtype not in ("i8", "u8"):
        agree_with_simpleitk(tmp_path / name, volume)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
@pytest.mark.parametrize(("slope", "intercept"), [(1, -1024), (0.00012345, 7.5), (-2.5, 0), (1 / 3, -1e4)])
def test_scaled_values_are_the_nearest_float32_of_the_exact_ones(tmp_path, dtype, slope, intercept):
    image = nib.Nifti1Image(values(dtype), OBLIQUE)
    image.header.set_slope_inter(slope, intercept)
    nib.save(image, tmp_path / "a.nii")
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[112:120] = np.array([slope, intercept], dtype="<f4").tobytes()
    (tmp_path / "a.nii").write_bytes(content)
    agree_with_simpleitk(tmp_path / "a.nii", agree_with_nibabel(tmp_path / "a.nii"))


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1e3), ("mm", 1), ("micron", 1e-3), ("unknown", 1)])
def test_units_of_length_become_millimetres_as_in_simpleitk(tmp_path, unit, factor):
    image = nib.Nifti1Image(values(), np.diag([0.4 / factor, 0.5 / factor, 0.8 / factor, 1]))
    image.set_qform(image.affine, 1)
    image.header.set_xyzt_units(unit)
    nib.save(image, tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    assert volume.spacing_mm == pytest.approx((0.4, 0.5, 0.8))
    assert SimpleITK.ReadImage(str(tmp_path / "a.nii")).GetSpacing() == pytest.approx(volume.spacing_mm)
    assert bool(volume.notes) == (factor != 1)


@pytest.mark.parametrize("kind", [nib.AnalyzeImage, nib.Spm99AnalyzeImage, nib.Spm2AnalyzeImage])
@pytest.mark.parametrize("origin", [(0, 0, 0), (2, 1, 3), (300, 0, 0)], ids=["no origin", "origin", "absurd origin"])
@pytest.mark.parametrize("order", "<>")
def test_analyze_pairs_lie_where_nibabel_puts_them(tmp_path, kind, origin, order):
    header = kind.header_class(endianness=order)
    header.set_data_dtype(np.dtype(order + "i2"))
    image = kind(values(), None, header)
    image.header.set_zooms((0.7, 1.1, 3))
    nib.save(image, tmp_path / "mpr-1.nifti.hdr")
    content = bytearray((tmp_path / "mpr-1.nifti.hdr").read_bytes())
    content[253:259] = np.array(origin, dtype=order + "i2").tobytes()
    (tmp_path / "mpr-1.nifti.hdr").write_bytes(content)
    volume = agree_with_nibabel(tmp_path / "mpr-1.nifti.hdr")
    assert volume.affine[0, 0] > 0 > volume.source_affine[0, 0]
    assert "Analyze 7.5 says nothing of left and right" in volume.notes[0]


def test_a_pair_of_oasis_2_is_read_by_either_of_its_names(tmp_path):
    nib.save(nib.Nifti1Pair(values(shape=(*SHAPE, 1)), OBLIQUE), tmp_path / "mpr-1.nifti.hdr")
    by_header = read_volume(tmp_path / "mpr-1.nifti.hdr")
    by_voxels = read_volume(tmp_path / "mpr-1.nifti.img")
    assert np.array_equal(by_header.array, by_voxels.array)
    assert by_header.sha256 == by_voxels.sha256
    files = [tmp_path / f"mpr-1.nifti.{suffix}" for suffix in ("hdr", "img")]
    assert read_header(files[1]).file_bytes == sum(path.stat().st_size for path in files)
    for path in files:
        path.rename(path.with_suffix(path.suffix.upper()))
    assert np.array_equal(read_volume(tmp_path / "mpr-1.nifti.HDR").array, by_header.array)


@settings(max_examples=60)
@given(
    shape=st.tuples(*[st.integers(1, 6)] * 3),
    spacing=st.tuples(*[st.floats(0.0625, 20)] * 3),
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    dtype=st.sampled_from(["i1", "u1", "i2", "u2", "i4", ">i2", ">u2", "f4", "f8"]),
    name=st.sampled_from(["p.nii", "p.nii.gz", "p.hdr"]),
    mirrored=st.booleans(),
)
def test_any_affine_shape_spacing_and_type_is_that_of_nibabel(
    tmp_path_factory, shape, spacing, angles, origin, dtype, name, mirrored
):
    path = tmp_path_factory.getbasetemp() / name
    affine = np.eye(4)
    affine[:3, :3] = nib.eulerangles.euler2mat(*angles) @ np.diag([-1 if mirrored else 1, 1, 1]) * spacing
    affine[:3, 3] = origin
    kind = nib.Nifti1Pair if name == "p.hdr" else nib.Nifti1Image
    nib.save(kind(values(dtype, shape), affine), path)
    agree_with_nibabel(path)
