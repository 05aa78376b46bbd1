"""PNG masks on the grid of a DICOM series: the right mask on the right slice, or a refusal."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from med3dinsight.errors import InputError
from med3dinsight.volumes.png_masks import read_png_masks
from med3dinsight.volumes.reading import read_label, read_volume

SHAPE = (9, 7, 12)


def write_png(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values, isVector=values.ndim == 3), str(path))


@pytest.fixture
def patient(tmp_path, dicom_series):
    """Writes a patient as CHAOS has it; the voxels of the scan are 100 times the label."""

    def write(labels, names="i{:04d},0000b.dcm", masks="liver_GT_{:03d}.png", numbers=range(SHAPE[2])):
        here = tmp_path / "1"
        scans = dicom_series(here / "DICOM_anon", (labels.astype(np.int16) * 100))
        for place, (number, path) in enumerate(zip(numbers, scans, strict=True)):
            path.rename(path.with_name(names.format(number)))
            write_png(here / "Ground" / masks.format(number), labels[:, :, place].T.astype(np.uint8))
        return here

    return write


def liver(values=(0, 255)):
    return np.random.default_rng(4).choice(np.array(values, dtype=np.int16), SHAPE)


def agrees(here):
    """Whether the map has the scan's label in every voxel."""
    volume = read_volume(here / "DICOM_anon")
    return np.array_equal(read_label(here / "Ground", volume) * 100, volume.array)


@pytest.mark.parametrize("numbers", [range(12), range(11, -1, -1)], ids=["upwards", "downwards"])
def test_masks_belong_to_slices_by_the_order_of_names(patient, numbers):
    """In half of all scans the first name is the highest slice."""
    assert agrees(patient(liver((0, 1)), numbers=numbers))


def test_numbers_in_names_count_by_their_value(patient):
    assert agrees(patient(liver((0, 1)), names="{}.dcm", masks="m{}.png"))


def test_255_alone_becomes_1(patient):
    here = patient(liver())
    label = read_label(here / "Ground", read_volume(here / "DICOM_anon"))
    assert np.array_equal(label * 25500, read_volume(here / "DICOM_anon").array)


def test_classes_keep_their_values_and_equal_names_decide(patient):
    order = np.random.default_rng(0).permutation(12)
    values = (0, 63, 126, 189, 252)
    here = patient(liver(values), names="IMG-0004-{:05d}.dcm", masks="IMG-0004-{:05d}.png", numbers=order)
    assert agrees(here)
    assert np.unique(read_png_masks(here / "Ground").values).tolist() == list(values)


def test_names_out_of_order_are_refused(patient):
    here = patient(liver(), numbers=[0, 1, 3, 2, *range(4, 12)])
    with pytest.raises(InputError, match="not clear"):
        read_png_masks(here / "Ground")


def test_a_missing_mask_is_refused(patient):
    here = patient(liver())
    (here / "Ground" / "liver_GT_003.png").unlink()
    with pytest.raises(InputError, match="Ground holds 11 masks, DICOM_anon 12 slices"):
        read_png_masks(here / "Ground")


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros((9, 7), np.uint8), r"has 7 x 9 pixels, its slice 9 x 7"),
        (np.arange(189, dtype=np.uint8).reshape(7, 9, 3), "is a colour picture"),
        (np.zeros((7, 9), np.uint16), "holds uint16 values"),
    ],
)
def test_a_picture_that_is_no_mask_of_its_slice_is_refused(patient, values, reason):
    here = patient(liver())
    write_png(here / "Ground" / "liver_GT_003.png", values)
    with pytest.raises(InputError, match=rf"liver_GT_003\.png {reason}"):
        read_png_masks(here / "Ground")


@pytest.mark.parametrize("damage", [lambda raw: raw[:40], lambda raw: b"no picture", lambda raw: raw[:45] + b"\0" * 30])
def test_a_damaged_picture_is_refused(patient, damage):
    here = patient(liver())
    path = here / "Ground" / "liver_GT_003.png"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"liver_GT_003\.png"):
        read_png_masks(here / "Ground")


def test_masks_without_a_series_beside_them_are_refused(patient, dicom_series):
    here = patient(liver())
    dicom_series(here / "other", np.zeros(SHAPE, np.int16))
    with pytest.raises(InputError, match="need one DICOM series in a folder beside it: DICOM_anon, other found"):
        read_png_masks(here / "Ground")
    assert read_png_masks(here / "Ground", here / "DICOM_anon").values.shape == SHAPE
