"""NRRD and MetaImage headers of every kind, against SimpleITK on the same files."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import itertools
import zlib

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st

from med3dinsight.errors import InputError
from med3dinsight.volumes.reading import read_header, read_volume

VALUES = np.random.default_rng(2).integers(0, 120, (4, 3, 2)).astype(np.int16)  # (k, j, i) as SimpleITK has it
SHORT = "type: short\nencoding: raw\nendian: little\ndimension: 3\nsizes: 2 3 4\n"
PLACED = "space: left-posterior-superior\nspace directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (5,6,7)\n"


def write_nrrd(path, header, content=None):
    path.write_bytes(b"NRRD0005\n" + header.encode() + b"\n" + (VALUES.tobytes() if content is None else content))
    return path


def write_meta(path, header, content=None, last="ElementDataFile = LOCAL"):
    head = f"ObjectType = Image\n{header}{last}\n"
    path.write_bytes(head.encode() + (VALUES.tobytes() if content is None else content))
    return path


def agree_with_simpleitk(path, channel=None):
    image = SimpleITK.ReadImage(str(path))
    array = SimpleITK.GetArrayFromImage(image)
    header, volume = read_header(path), read_volume(path, channel=channel)
    if image.GetNumberOfComponentsPerPixel() > 1:
        assert header.num_channels == array.shape[-1]
        array = array[..., channel]
    elif image.GetDimension() == 4:
        assert header.num_channels == len(array)
        array, image = array[channel], image[:, :, :, 0]
    array = array.T
    assert header.shape == volume.array.shape
    assert volume.source_shape == array.shape
    to_array = np.linalg.inv(volume.affine)
    for index in itertools.product(*((0, length - 1) for length in array.shape)):
        lps = image.TransformIndexToPhysicalPoint([int(place) for place in index])
        place = to_array @ [-lps[0], -lps[1], lps[2], 1]
        assert np.allclose(place, np.round(place), atol=1e-3)
        assert volume.array[tuple(np.round(place[:3]).astype(int))] == array[index]
    return volume


@pytest.mark.parametrize(
    "place",
    [
        PLACED,
        PLACED.replace("left-posterior-superior", "RAS"),
        PLACED.replace("left-posterior-superior", "left-anterior-superior"),
        PLACED.replace("left-posterior-superior", "scanner-xyz"),
        PLACED.replace("space: left-posterior-superior", "space dimension: 3"),
        "space: LPS\nspace directions: (0,0.6,-0.8) (0,1.6,1.2) (-3,0,0)\nspace origin: (5e0, -6.5, 7)\n",
        "spacings: 1 2 3\n",
        "spacings: 1 -2 3\n",
        "spacings: 1 2 3\naxis mins: 5 6 7\n",
        "spacings: 1 2 3\naxismins: 5 6 7\ncenterings: node cell node\n",
        "# words\ncontent: a scan\nkey:=value: with colons\nkinds: domain domain domain\nspacings: 1 2 3\n",
        "byte skip: -1\nspacings: 1 2 3\n",
    ],
)
def test_nrrd_worlds_spacings_and_origins(tmp_path, place):
    volume = agree_with_simpleitk(write_nrrd(tmp_path / "a.nrrd", SHORT + place))
    assert bool(volume.notes) == ("scanner" in place or "space:" not in place)


@pytest.mark.parametrize(
    "place",
    [
        "ElementSpacing = 1 2 3\n",
        "ElementSize = 1 2 3\n",
        "ElementSize = 9 9 9\nElementSpacing = 1 2 -3\n",
        "ElementSpacing: 1 2 3\nPosition: 5 6 7\n",
        "ElementSpacing = 1 2 3\nOffset = 5 6 7\nTransformMatrix = 0 1 0 0 0 1 1 0 0\nCenterOfRotation = 1 2 3\n",
        "ElementSpacing = 1 2 3\nOrigin = 5 6 7\nRotation = 0.6 0.8 0 -0.8 0.6 0 0 0 -1\nAnatomicalOrientation = LPS\n",
        "qto_xyz[0] = my own field\nElementSpacing = 1 2 3\nHeaderSize = -1\n",
        "ElementSpacing = 1 2 3\nBinaryDataByteOrderMSB = True\nCompressedData = False\n",
    ],
)
def test_meta_spacings_matrices_and_origins(tmp_path, place):
    header = "NDims = 3\nBinaryData = True\nDimSize = 2 3 4\nElementType = MET_SHORT\n"
    agree_with_simpleitk(write_meta(tmp_path / "a.mha", header + place))


def test_the_modality_of_a_meta_header_is_told(tmp_path):
    header = "NDims = 3\nDimSize = 2 3 4\nElementType = MET_SHORT\nElementSpacing = 1 2 3\nModality = MET_MOD_MR\n"
    path = write_meta(tmp_path / "a.mha", header)
    assert read_header(path).modality == read_volume(path).modality == "mr"


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64])
def test_every_type_of_simpleitk_is_read(tmp_path, name, dtype):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(VALUES.astype(dtype)), str(tmp_path / name), True)
    agree_with_simpleitk(tmp_path / name)
    assert read_header(tmp_path / name).itemsize == np.dtype(dtype).itemsize


@pytest.mark.parametrize("encoding", ["raw", "gz", "gzip", "bz2", "bzip2"])
@pytest.mark.parametrize("detached", [False, True])
def test_every_encoding_of_nrrd_holds_the_same(tmp_path, encoding, detached):
    pack = {"r": bytes, "g": gzip.compress, "b": bz2.compress}[encoding[0]]
    content = pack(b"skip" + VALUES.astype(">i2").tobytes())
    header = SHORT.replace("raw", encoding).replace("little", "big") + PLACED + "byte skip: 4\n"
    path = tmp_path / ("a.nhdr" if detached else "a.nrrd")
    write_nrrd(path, header + "data file: voxels.bin\n" * detached, b"" if detached else content)
    if detached:
        (tmp_path / "voxels.bin").write_bytes(content)
    volume = read_volume(path)  # not every SimpleITK has bzip2
    assert np.array_equal(volume.array, VALUES.T[::-1, ::-1])
    expected = hashlib.sha256(path.read_bytes() + (content if detached else b"")).hexdigest()
    assert volume.sha256 == expected


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
def test_packed_meta_voxels_need_no_declared_length(tmp_path, pack):
    header = "NDims = 3\nDimSize = 2 3 4\nElementType = MET_SHORT\nElementSpacing = 1 2 3\nCompressedData = True\n"
    path = write_meta(tmp_path / "a.mha", header, pack(VALUES.tobytes()))
    assert np.array_equal(read_volume(path).array, VALUES.T[::-1, ::-1])


FOUR = "type: short\nencoding: raw\nendian: little\ndimension: 4\n"


@pytest.mark.parametrize(
    "header",
    [
        "sizes: 2 2 3 2\nkinds: list domain domain domain\nspace: RAS\n"
        "space directions: none (1,0,0) (0,2,0) (0,0,3)\n",
        "sizes: 2 2 3 2\nkinds: domain vector domain domain\nspace: LPS\n"
        "space directions: (1,0,0) none (0,2,0) (0,0,3)\nspace origin: (5,6,7)\n",
        "sizes: 2 3 2 2\nkinds: domain domain domain list\nspace: LPS\n"
        "space directions: (1,0,0) (0,2,0) (0,0,3) none\n",
        "sizes: 2 3 2 2\nspacings: 1 2 3 4\n",
        "sizes: 2 3 2 2\nspace: left-posterior-superior-time\n"
        "space directions: (1,0,0,0) (0,2,0,0) (0,0,3,0) (0,0,0,1)\nspace origin: (5,6,7,0)\n",
    ],
)
@pytest.mark.parametrize("channel", [0, 1])
def test_channels_of_nrrd_are_picked(tmp_path, header, channel):
    agree_with_simpleitk(write_nrrd(tmp_path / "a.nrrd", FOUR + header), channel)


@pytest.mark.parametrize("name", ["a.nrrd", "a.nhdr", "a.mha", "a.mhd"])
@pytest.mark.parametrize("vector", [True, False])
@pytest.mark.parametrize("channel", [0, 2])
def test_channels_that_simpleitk_writes_are_picked(tmp_path, name, vector, channel):
    array = np.random.default_rng(0).integers(0, 99, (3, 4, 5, 6)).astype(np.int16)
    image = SimpleITK.GetImageFromArray(np.moveaxis(array, 0, -1) if vector else array, isVector=vector)
    SimpleITK.WriteImage(image, str(tmp_path / name), useCompression=True)
    agree_with_simpleitk(tmp_path / name, channel)
    with pytest.raises(InputError, match="holds 3 channels"):
        read_volume(tmp_path / name)


@settings(max_examples=40)
@given(
    shape=st.tuples(*[st.integers(1, 5)] * 3),
    spacing=st.tuples(*[st.floats(0.0625, 20)] * 3),
    angles=st.tuples(*[st.floats(-3, 3)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    dtype=st.sampled_from(["i1", "u1", "i2", "u2", "i4", "f4", "f8"]),
    name=st.sampled_from(["p.nrrd", "p.nhdr", "p.mha", "p.mhd"]),
    packed=st.booleans(),
)
def test_any_place_shape_and_type_is_that_of_simpleitk(
    tmp_path_factory, shape, spacing, angles, origin, dtype, name, packed
):
    path = tmp_path_factory.getbasetemp() / name
    image = SimpleITK.GetImageFromArray(np.random.default_rng(0).integers(0, 99, shape).astype(dtype))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(nib.eulerangles.euler2mat(*angles).ravel().tolist())
    SimpleITK.WriteImage(image, str(path), useCompression=packed)
    agree_with_simpleitk(path)
