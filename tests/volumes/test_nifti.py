"""Checked decode and atomic writing of NIfTI, against nibabel and SimpleITK."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from med3dinsight.errors import InputError
from med3dinsight.volumes.nifti import embedded_names, write_nifti
from med3dinsight.volumes.reading import read_volume

AFFINE = np.array([[-0.7, 0, 0, 12], [0, 0.9, 0, -30], [0, 0, 2.5, 5], [0, 0, 0, 1.0]])


def noise(shape=(5, 6, 7), dtype=np.int16):
    return np.random.default_rng(0).integers(-1000, 1000, shape).astype(dtype)


def save(path: Path, array, affine=AFFINE, kind=nib.Nifti1Image, **header) -> Path:
    image = kind(array, affine)
    for key, value in header.items():
        image.header[key] = value
    nib.save(image, path)
    return path


ORIENTATIONS = [
    (order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)
]


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_every_axis_order_is_brought_to_ras_as_nibabel_does(tmp_path, order, signs):
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(order)] * signs * np.array([0.7, 1.1, 3.0])
    affine[:3, 3] = (4, -5, 6)
    path = save(tmp_path / "a.nii.gz", noise(), affine)
    expected = nib.as_closest_canonical(nib.load(path))
    volume = read_volume(path)
    assert np.array_equal(volume.array, np.asarray(expected.dataobj))
    assert np.allclose(volume.affine, expected.affine, atol=1e-5)
    assert volume.spacing_mm == pytest.approx(expected.header.get_zooms())
    assert volume.source_shape == (5, 6, 7)
    assert np.allclose(volume.source_affine, affine, atol=1e-6)


def test_oblique_files_lie_where_simpleitk_puts_them(tmp_path):
    turned = nib.eulerangles.euler2mat(0.2, -0.1, 0.15) @ np.diag([0.7, 0.9, 2.5])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turned, (1, 2, 3)
    image = nib.Nifti1Image(noise(), affine)
    image.set_qform(affine, 1)
    nib.save(image, tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    oracle = SimpleITK.ReadImage(str(tmp_path / "a.nii"))
    index = (4, 1, 5)
    world = volume.affine @ [*index, 1]
    lps = oracle.TransformIndexToPhysicalPoint(index)
    assert np.allclose(world[:3], np.array(lps) * (-1, -1, 1), atol=1e-3)
    assert volume.array[index] == oracle[index]


@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_every_type_and_version_keeps_its_values(tmp_path, kind, dtype):
    array = np.abs(noise()).astype(dtype) % 200
    volume = read_volume(save(tmp_path / "a.nii.gz", array, np.eye(4), kind))
    assert np.array_equal(volume.array, array)
    assert volume.array.dtype.itemsize <= 4


def test_slope_and_intercept_are_applied(tmp_path):
    image = nib.Nifti1Image(noise(), np.eye(4))
    image.header.set_slope_inter(0.5, -3)
    nib.save(image, tmp_path / "a.nii")
    expected = nib.load(tmp_path / "a.nii").get_fdata()
    assert np.allclose(read_volume(tmp_path / "a.nii").array, expected)


def test_big_endian_files_are_read(tmp_path):
    header = nib.Nifti1Header(endianness=">")
    header.set_data_dtype(">i2")
    nib.save(nib.Nifti1Image(noise(dtype=">i2"), np.eye(4), header), tmp_path / "a.nii.gz")
    assert np.array_equal(read_volume(tmp_path / "a.nii.gz").array, noise())


def test_a_fourth_axis_of_length_one_is_dropped(tmp_path):
    path = save(tmp_path / "a.nii", noise((5, 6, 7, 1)), np.eye(4))
    assert read_volume(path).array.shape == (5, 6, 7)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_truncated_file_is_refused(tmp_path, name, share):
    path = save(tmp_path / name, noise((20, 20, 20)))
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match=r"truncated|not a NIfTI"):
        read_volume(path)


def test_a_gzip_checksum_that_differs_is_refused(tmp_path):
    path = save(tmp_path / "a.nii.gz", noise())
    content = bytearray(path.read_bytes())
    content[-6] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        read_volume(path)


def test_a_header_that_declares_more_than_the_file_can_hold_is_refused_at_once(tmp_path):
    path = save(tmp_path / "a.nii.gz", noise())
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[42:48] = np.array([2000, 2000, 1000], dtype="<i2").tobytes()
    path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(InputError, match="truncated"):
        read_volume(path)


def test_content_beyond_what_the_header_declares_is_refused(tmp_path):
    path = save(tmp_path / "a.nii.gz", noise())
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(1 << 20)))
    with pytest.raises(InputError, match="more than its header"):
        read_volume(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_counted_and_refused(tmp_path, value):
    array = noise(dtype=np.float32)
    array[1, 2, 3] = array[0, 0, 0] = value
    with pytest.raises(InputError, match="2 voxels that are NaN or infinite"):
        read_volume(save(tmp_path / "a.nii", array))


@pytest.mark.parametrize("column", [[0, 0, 0], [0, 0.9, 0], [np.nan, 0, 0], [1e-4, 0.9, 0]])
def test_a_singular_affine_is_refused(tmp_path, column):
    path = save(tmp_path / "a.nii", noise(), np.eye(4))
    content = bytearray(path.read_bytes())
    rows = np.frombuffer(bytes(content[280:328]), dtype="<f4").reshape(3, 4).copy()
    rows[:, 1] = (0, 0.9, 0)
    rows[:, 0] = column
    content[280:328] = rows.tobytes()
    path.write_bytes(content)
    with pytest.raises(InputError, match="singular affine"):
        read_volume(path)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((4, 4, 4, 2), "holds 2 channels"),
        ((4, 4, 4, 2, 3), "is 5D"),
        ((4, 4, 4, 1, 3), "holds 3 channels"),
        ((4, 4), "not a 3D image"),
    ],
)
def test_other_dimensions_are_refused(tmp_path, shape, reason):
    with pytest.raises(InputError, match=reason):
        read_volume(save(tmp_path / "a.nii", noise(shape)))


def test_colours_are_refused(tmp_path):
    colours = np.zeros((4, 4, 4), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(InputError, match="colours"):
        read_volume(save(tmp_path / "a.nii", colours))


def test_other_files_under_that_name_are_refused(tmp_path):
    path = tmp_path / "a.nii.gz"
    for content in (b"", b"no image", b"\x1f\x8b" + bytes(500), bytes(1000)):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.nii\.gz"):
            read_volume(path)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 360), st.integers(0, 255)), min_size=1, max_size=6))
def test_a_damaged_header_gives_an_answer_or_an_input_error(tmp_path_factory, damage):
    path = tmp_path_factory.getbasetemp() / "damaged.nii"
    content = bytearray(nib.Nifti1Image(noise(), AFFINE).to_bytes())
    for place, value in damage:
        content[place] = value
    path.write_bytes(content)
    try:
        volume = read_volume(path)
    except InputError as error:
        assert "damaged.nii" in error.message
        assert error.hint
    else:
        assert volume.array.ndim == 3
        assert np.isfinite(volume.array).all()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_what_is_written_is_read_by_nibabel_unchanged(tmp_path, name):
    write_nifti(tmp_path / name, noise(), AFFINE)
    image = nib.load(tmp_path / name)
    assert np.array_equal(np.asarray(image.dataobj), noise())
    assert image.get_data_dtype() == np.int16
    assert np.allclose(image.affine, AFFINE, atol=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_same_voxels_make_the_same_bytes(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(tmp_path / name, noise(), AFFINE)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_label_table_in_the_header_is_found(tmp_path):
    image = nib.Nifti1Image(np.ones((3, 3, 3), dtype=np.uint8), np.eye(4))
    table = b"""<CaretExtension><LabelTable><Label Key="1" Red="0.1"><![CDATA[spleen]]></Label>
    <Label Key='52' Red="0">aorta</Label></LabelTable></CaretExtension>"""
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, table))
    nib.save(image, tmp_path / "a.nii.gz")
    assert embedded_names(tmp_path / "a.nii.gz") == {1: "spleen", 52: "aorta"}
    assert read_volume(tmp_path / "a.nii.gz").array.sum() == 27


def test_a_file_without_a_label_table_has_no_names(tmp_path):
    assert embedded_names(save(tmp_path / "a.nii.gz", noise())) == {}
    (tmp_path / "b.nii").write_bytes(b"no image")
    assert embedded_names(tmp_path / "b.nii") == {}
