"""Label maps on their image's grid, tables of names, and classes."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from med3dinsight.errors import ConfigError, InputError
from med3dinsight.volumes.labels import annotated_classes, class_map, read_label_names, write_label_names
from med3dinsight.volumes.reading import read_label, read_volume

NAMES = ((1, "spleen"), (5, "liver"), (10, "lung_upper_left"), (11, "lung_lower_left"))
LUNG = {"name": "lung", "match": ["lung_*"]}
LIVER = {"name": "liver", "match": ["liver"]}
HEART = {"name": "heart", "match": ["heart"]}


@pytest.fixture
def pair(tmp_path):
    """Writes an image (LPS) and a label map (LAS) of the same scan; returns a function that changes the label."""
    image_affine = np.array([[-1.0, 0, 0, 9], [0, -2.0, 0, 8], [0, 0, 3.0, 0], [0, 0, 0, 1]])
    rng = np.random.default_rng(0)
    nib.save(nib.Nifti1Image(rng.integers(-900, 900, (5, 6, 7)).astype(np.int16), image_affine), tmp_path / "i.nii")
    labels = rng.integers(0, 4, (5, 6, 7)).astype(np.uint8)
    label_affine = np.array([[-1.0, 0, 0, 9], [0, 2.0, 0, -2], [0, 0, 3.0, 0], [0, 0, 0, 1]])

    def write(values=labels, affine=label_affine):
        nib.save(nib.Nifti1Image(values, affine), tmp_path / "l.nii")
        return tmp_path / "l.nii", read_volume(tmp_path / "i.nii")

    return write, labels, label_affine


def test_a_map_with_other_axes_than_its_image_lands_on_the_same_voxels(pair):
    write, labels, _ = pair
    assert np.array_equal(read_label(*write()), labels[::-1])  # only x runs the other way against RAS+


def test_small_differences_of_the_affine_are_rounding(pair):
    write, labels, affine = pair
    shifted = affine.copy()
    shifted[0, 3] += 0.05
    assert np.array_equal(read_label(*write(affine=shifted)), labels[::-1])


def test_whole_numbers_may_be_stored_as_floats(pair):
    write, labels, _ = pair
    assert np.array_equal(read_label(*write(labels.astype(np.float32))), labels[::-1])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda labels, affine: (labels[:4], affine), r"has \(4, 6, 7\) voxels, its image \(5, 6, 7\)"),
        (lambda labels, affine: (labels, affine + np.eye(4)[:, [3, 3, 3, 0]] * 0.4), "off its image"),
        (lambda labels, affine: (labels, np.diag([2.0, 2, 3, 1])), "off its image"),
        (lambda labels, affine: (labels.astype(np.int16) - 1, affine), "labels -1 to 2"),
        (lambda labels, affine: (labels.astype(np.int32) * 70000, affine), "labels 0 to 210000"),
        (lambda labels, affine: (labels * np.float32(0.3), affine), "no whole numbers"),
        (lambda labels, affine: (np.where(labels > 2, np.nan, 1).astype(np.float32), affine), "NaN"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(pair, change, reason):
    write, labels, affine = pair
    with pytest.raises(InputError, match=reason):
        read_label(*write(*change(labels, affine)))


def test_names_come_from_the_table_beside_the_map(tmp_path):
    (tmp_path / "a_label.nii.gz").write_bytes(b"")
    assert read_label_names(tmp_path / "a_label.nii.gz") == ()
    (tmp_path / "a_label.json").write_bytes(write_label_names({5: "liver", 1: "spleen"}))
    assert read_label_names(tmp_path / "a_label.nii.gz") == ((1, "spleen"), (5, "liver"))


@pytest.mark.parametrize("content", ["{", "[1, 2]", '{"liver": 1}'])
def test_a_table_of_another_form_is_refused(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(InputError, match=r"a\.json is no label table"):
        read_label_names(tmp_path / "a.nrrd")


def test_classes_are_numbered_in_their_order():
    lookup = class_map(NAMES, [LIVER, LUNG, {"name": "other", "match": [1, 300]}])
    assert {value: int(lookup[value]) for value in (0, 1, 2, 5, 10, 11, 300)} == {
        **{0: 0, 1: 3, 2: 0, 5: 1},
        **{10: 2, 11: 2, 300: 3},
    }
    labels = np.array([[5, 10], [0, 65535]], dtype=np.uint16)
    assert lookup[labels].tolist() == [[1, 2], [0, 0]]


def test_a_value_of_two_classes_is_refused():
    with pytest.raises(ConfigError, match="label 10 belongs to lung and to left"):
        class_map(NAMES, [LUNG, {"name": "left", "match": ["*_left"]}])


def test_values_no_map_can_hold_are_refused():
    for value in (0, -1, 70000):
        with pytest.raises(ConfigError, match=f"lists label {value}"):
            class_map(NAMES, [{"name": "odd", "match": [value]}])


def test_a_map_without_names_cannot_be_matched_by_name():
    with pytest.raises(InputError, match="no table of names"):
        class_map((), [LIVER], values_present=[0, 5])
    assert class_map((), [{"name": "liver", "match": [5]}], values_present=[0, 5])[5] == 1


def test_only_what_the_table_names_was_annotated():
    assert annotated_classes(NAMES, [LIVER, HEART, LUNG]) == (True, False, True)
    assert annotated_classes(NAMES, [{"name": "odd", "match": [77]}]) == (False,)
    assert annotated_classes(NAMES, [{"name": "odd", "match": [77]}], values_present=[77]) == (True,)
    assert annotated_classes((), [LIVER, HEART]) == (True, True)


def test_the_written_table_is_plain_json():
    assert json.loads(write_label_names({5: "liver", 1: "spleen"})) == {"1": "spleen", "5": "liver"}
