"""Voxels of DICOM slices are exact in every encoding: against what was written, and against SimpleITK."""

from __future__ import annotations

import shutil

import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from med3dinsight.errors import InputError
from med3dinsight.volumes import dicom

SYNTAX = "1.2.840.10008.1.2"


def smooth(count=4, shape=(48, 32)):
    steps = np.random.default_rng(3).integers(-40, 41, (*shape, count))
    return np.clip(np.cumsum(np.cumsum(steps, axis=0), axis=1) // 8, -1024, 3000).astype(np.int16)


def oracle(folder):
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))
    return SimpleITK.GetArrayFromImage(reader.Execute()).T


def rewrite(paths, change):
    for path in paths:
        data = pydicom.dcmread(path)
        change(data)
        data.save_as(path, enforce_file_format=False)


def as_implicit(data):
    data.file_meta.TransferSyntaxUID = UID(SYNTAX)


def as_deflated(data):
    data.file_meta.TransferSyntaxUID = UID(SYNTAX + ".1.99")


def as_rle(data):
    data.compress(UID(SYNTAX + ".5"), generate_instance_uid=False)


def as_jpeg2000(data):
    data.compress(UID(SYNTAX + ".4.90"), generate_instance_uid=False)


@pytest.mark.parametrize("encode", [as_implicit, as_deflated, as_rle, as_jpeg2000])
def test_encodings_give_the_voxels_that_were_written(tmp_path, dicom_series, encode):
    rewrite(dicom_series(tmp_path, smooth()), encode)
    values = dicom.read_series(tmp_path).values
    assert np.array_equal(values, smooth())
    assert values.dtype == np.int16


@pytest.mark.parametrize(("compressor", "end"), [("JPEG", ".4.70"), ("JPEG2000", ".4.90")])
@pytest.mark.parametrize("dtype", ["int16", "uint16", "uint8"])
def test_what_simpleitk_compressed_is_read_back(tmp_path, dicom_series, compressor, end, dtype):
    """JPEG lossless is the commonest compression of real CT and MR."""
    values = (smooth() % 200).astype(dtype) if dtype == "uint8" else smooth() - (0 if dtype == "int16" else -1024)
    coded = tmp_path / "coded.dcm"
    for index, path in enumerate(dicom_series(tmp_path / "series", smooth())):
        writer = SimpleITK.ImageFileWriter()
        writer.UseCompressionOn()
        writer.SetCompressor(compressor)
        writer.SetFileName(str(coded))
        writer.Execute(SimpleITK.GetImageFromArray(values[:, :, index].T.astype(dtype)))
        theirs, ours = pydicom.dcmread(coded), pydicom.dcmread(path)
        ours.file_meta.TransferSyntaxUID = theirs.file_meta.TransferSyntaxUID
        assert ours.file_meta.TransferSyntaxUID == SYNTAX + end
        for keyword in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelData"):
            setattr(ours, keyword, theirs[keyword].value)
        ours.RescaleIntercept = 0
        ours["PixelData"].is_undefined_length = True
        ours.save_as(path)
    assert np.array_equal(dicom.read_series(tmp_path / "series").values, values)


@pytest.mark.parametrize(
    "name",
    ["MR_small_RLE", "MR_small_jp2klossless", "MR_small_jpeg_ls_lossless", "MR_small_implicit", "MR_small_bigendian"],
)
def test_a_real_slice_is_the_same_in_every_transfer_syntax(tmp_path, name):
    stored = []
    for kind in ("MR_small", name):
        for index in range(2):
            data = pydicom.dcmread(get_testdata_file(f"{kind}.dcm"))
            place = data.ImagePositionPatient
            data.ImagePositionPatient = [place[0], place[1], float(place[2]) + index]
            folder = tmp_path / kind
            folder.mkdir(exist_ok=True)
            data.save_as(folder / f"{index}.dcm", enforce_file_format=False)
        stored.append(dicom.read_series(tmp_path / kind))
    assert np.array_equal(stored[0].values, stored[1].values)
    assert np.array_equal(stored[0].values, oracle(tmp_path / "MR_small"))
    assert len(np.unique(stored[0].values)) > 100


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bits=st.sampled_from([(8, 8, 7), (16, 12, 11), (16, 16, 15), (16, 10, 13), (16, 12, 15), (32, 20, 19)]),
    signed=st.booleans(),
    slope=st.sampled_from([1, 2, -1, 0.5, 0.0371]),
    intercept=st.sampled_from([0, -1024, -8.25]),
    seed=st.integers(0, 1000),
)
def test_stored_bits_signs_and_slopes_are_exact(tmp_path_factory, dicom_series, bits, signed, slope, intercept, seed):
    """The oracle is the standard's own rule, in Python integers; unused bits are filled with noise."""
    allocated, stored, high = bits
    rng = np.random.default_rng(seed)
    raw = rng.integers(0, 1 << allocated, (5, 4, 3), dtype=np.uint64)
    expected = np.empty(raw.shape)
    for at, word in np.ndenumerate(raw):
        value = (int(word) >> (high + 1 - stored)) & ((1 << stored) - 1)
        if signed and value >> (stored - 1):
            value -= 1 << stored
        expected[at] = value * slope + intercept
    fields = {
        "BitsAllocated": allocated,
        "BitsStored": stored,
        "HighBit": high,
        "PixelRepresentation": int(signed),
        "RescaleSlope": slope,
        "RescaleIntercept": intercept,
    }
    planes = [raw[:, :, k].T.astype(f"<u{allocated // 8}").tobytes() for k in range(3)]
    changes = {k: fields | {"PixelData": planes[k]} for k in range(3)}
    folder = tmp_path_factory.mktemp("bits")
    dicom_series(folder, np.zeros((5, 4, 3), np.int16), changes=changes)
    values = dicom.read_series(folder).values
    whole = float(slope).is_integer() and float(intercept).is_integer()
    assert values.dtype.kind in ("iu" if whole else "f")
    assert np.array_equal(values, expected if whole else expected.astype(np.float32))
    shutil.rmtree(folder)


def test_slopes_that_vary_by_slice_are_those_of_simpleitk(tmp_path, dicom_series):
    """As in PET: each slice has a slope of its own."""
    changes = {k: {"RescaleSlope": 0.37 + 0.11 * k, "RescaleIntercept": 0} for k in range(4)}
    dicom_series(tmp_path, smooth(), changes=changes, modality="PT")
    values = dicom.read_series(tmp_path).values
    assert values.dtype == np.float32
    one_by_one = [SimpleITK.ReadImage(str(path)) for path in sorted(tmp_path.iterdir())]
    places = [float(image.GetOrigin()[2]) for image in one_by_one]
    expected = np.stack([SimpleITK.GetArrayFromImage(one_by_one[k])[0] for k in np.argsort(places)]).T
    assert np.allclose(values, expected, rtol=1e-6)


def test_monochrome1_keeps_the_values(tmp_path, dicom_series):
    """It says how a picture is shown; HU stay HU."""
    changes = {k: {"PhotometricInterpretation": "MONOCHROME1"} for k in range(4)}
    dicom_series(tmp_path, smooth(), changes=changes)
    assert np.array_equal(dicom.read_series(tmp_path).values, smooth())


def test_values_beyond_int16_keep_their_own_type(tmp_path, dicom_series):
    high = np.full((8, 8), 60000, np.uint16).tobytes()
    changes = {k: {"RescaleIntercept": 0} for k in range(4)} | {2: {"RescaleIntercept": 0, "PixelData": high}}
    dicom_series(tmp_path, np.zeros((8, 8, 4), np.int16), changes=changes)
    values = dicom.read_series(tmp_path).values
    assert values.dtype == np.uint16
    assert values[..., [0, 2]].max(axis=(0, 1)).tolist() == [1024, 60000]
    changes[1] = {"RescaleIntercept": -5, "PixelData": bytes(128)}
    dicom_series(tmp_path / "b", np.zeros((8, 8, 4), np.int16), changes=changes)
    values = dicom.read_series(tmp_path / "b").values
    assert (values.dtype, values.min(), values.max()) == (np.int32, -5, 60000)


def test_a_missing_codec_names_the_extra(tmp_path, dicom_series, monkeypatch):
    from pydicom.pixels.decoders.base import get_decoder

    rewrite(dicom_series(tmp_path, smooth()), as_jpeg2000)
    rewrite(tmp_path.iterdir(), lambda data: setattr(data.file_meta, "TransferSyntaxUID", UID(SYNTAX + ".4.201")))
    decoder = get_decoder(UID(SYNTAX + ".4.201"))
    monkeypatch.setattr(decoder, "_available", {})
    with pytest.raises(InputError, match="high-throughput JPEG 2000, whose codec is not installed") as caught:
        dicom.read_series(tmp_path)
    assert caught.value.hint == "pip install 'med3dinsight[dicom]'"


#: Eight columns and six rows of ``300 * column + 70 * row``, coded by OpenJPH.
HTJ2K = bytes.fromhex(
    "ff4fff5100294000000000080000000600000000000000000000000800000006000000000000000000010f0101ff50000800020000000aff52"
    "000c00020001000504044001ff5c00132088909090909090909090909090888888ff64001700014f70656e4a50482056657220302e32362e33"
    "2eff90000a00000000005a0001ff93c0002683f9050774000000c0001340001300b0fa0307740052fe02077400c00013c00012804411f50282"
    "740031fe323300c0002aa000154056ac58f9a082320276008a8a8a8ac02101beb600ffd9"
)


def test_high_throughput_jpeg2000_is_read_with_the_extra(tmp_path, dicom_series):
    pytest.importorskip("openjpeg", reason="the extra dicom is not installed")
    for path in dicom_series(tmp_path, np.zeros((8, 6, 2), np.int16)):
        data = pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = UID(SYNTAX + ".4.201")
        data.PixelData = encapsulate([HTJ2K])
        data["PixelData"].is_undefined_length = True
        data.save_as(path)
    column, row = np.mgrid[:8, :6]
    values = dicom.read_series(tmp_path).values
    assert np.array_equal(values[:, :, 0], 300 * column + 70 * row - 1024)
    assert np.array_equal(values[:, :, 1], values[:, :, 0])
