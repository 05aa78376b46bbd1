"""Back to the file's grid: against scipy, and there and back within half a voxel for any orientation."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from med3dinsight.errors import InputError
from med3dinsight.preparing.config import PrepareConfig
from med3dinsight.preparing.item import prepare_source
from med3dinsight.records import Source
from med3dinsight.volumes.restoring import labels_on_source_grid

ORDERS = st.sampled_from(list(itertools.permutations(range(3))))
SIGNS = st.tuples(*[st.sampled_from((1, -1))] * 3)
SPACINGS = st.tuples(*[st.floats(0.8, 3)] * 3)


def scan(folder, shape, spacing, order=(0, 1, 2), signs=(1, 1, 1), tilt=0.0):
    """A scan with a block labelled 1; returns its source, the stored label and its affine."""
    affine = np.eye(4)
    turned = nib.eulerangles.euler2mat(tilt, tilt / 2, -tilt)
    affine[:3, :3] = turned @ (np.eye(3)[:, list(order)] * signs) @ np.diag(spacing)
    affine[:3, 3] = (-7, 11, 3)
    label = np.zeros(shape, dtype=np.uint8)
    label[tuple(slice(length // 4, length // 4 + length // 2) for length in shape)] = 1
    image = np.where(label > 0, 60, -900).astype(np.int16)
    image[0, 0, 0] = 1
    for name, array in (("image", image), ("label", label)):
        nib.save(nib.Nifti1Image(array, affine), folder / f"{name}.nii")
    return Source("case", "anna", str(folder / "image.nii"), str(folder / "label.nii")), label, affine


def one_hot(label):
    return np.stack([label == 0, label == 1]).astype(np.float32)


@settings(max_examples=60)
@given(ORDERS, SIGNS, SPACINGS, st.tuples(*[st.integers(9, 22)] * 3), st.booleans(), st.floats(-0.2, 0.2))
def test_a_label_goes_to_the_prepared_grid_and_back_within_half_a_voxel(
    tmp_path_factory, order, signs, spacing, shape, cube, tilt
):
    folder = tmp_path_factory.mktemp("scan")
    source, label, affine = scan(folder, shape, spacing, order, signs, tilt)
    config = PrepareConfig(source=str(folder), protocol="cube128" if cube else "native", cube_size=40, spacing_mm=1.0)
    prepared = prepare_source(source, config)
    back = labels_on_source_grid(prepared.case, one_hot(prepared.label))
    assert back.shape == label.shape

    def centre(mask):
        return np.argwhere(mask).mean(axis=0)

    # Where the block lies in the world, in the prepared volume and in the file again.
    world = (affine @ [*centre(label), 1])[:3]
    ours = (np.array(prepared.case.affine) @ [*centre(prepared.label), 1])[:3]
    assert np.abs(ours - world).max() <= 0.75 * max(*prepared.case.spacing_mm, *spacing)
    assert np.abs(centre(back) - centre(label)).max() <= 0.5


@pytest.mark.parametrize("spacing_mm", [0.6, 2.0])
def test_scores_are_interpolated_as_by_scipy(tmp_path, spacing_mm):
    source, _, _ = scan(tmp_path, (13, 10, 8), (1.0, 1.4, 2.2), (1, 2, 0), (-1, 1, -1))
    case = prepare_source(source, PrepareConfig(source=str(tmp_path), protocol="native", spacing_mm=spacing_mm)).case
    scores = np.random.default_rng(5).random((4, *case.shape)).astype(np.float32)
    index = np.argwhere(np.ones(case.source_shape, dtype=bool))
    world = np.c_[index, np.ones(len(index))] @ np.array(case.source_affine).T
    places = (world @ np.linalg.inv(np.array(case.affine)).T)[:, :3].T
    expected = np.stack([map_coordinates(one, places, order=1, mode="nearest") for one in scores])
    top = np.sort(expected, axis=0)
    clear = top[-1] - top[-2] > 1e-4
    ours = labels_on_source_grid(case, scores)[tuple(index.T)]
    assert clear.mean() > 0.99
    assert np.array_equal(ours[clear], expected.argmax(axis=0)[clear])


def test_on_the_same_grid_the_best_class_is_kept_exactly(tmp_path):
    source, _, _ = scan(tmp_path, (6, 7, 5), (2.0, 2.0, 2.0), (2, 0, 1), (-1, -1, 1))
    prepared = prepare_source(source, PrepareConfig(source=str(tmp_path), protocol="native", spacing_mm=2.0))
    stored = nib.load(tmp_path / "label.nii")
    back = labels_on_source_grid(prepared.case, one_hot(prepared.label))
    assert np.array_equal(back, np.asarray(stored.dataobj))


def test_ties_go_to_the_lower_class_and_one_slice_is_enough(tmp_path):
    source, _, _ = scan(tmp_path, (8, 8, 4), (1.0, 1.0, 0.1))
    case = prepare_source(source, PrepareConfig(source=str(tmp_path), protocol="native", spacing_mm=1.0)).case
    assert case.shape == (8, 8, 1)
    assert labels_on_source_grid(case, np.ones((3, 8, 8, 1), dtype=np.float32)).max() == 0


def test_scores_of_another_shape_are_refused(tmp_path):
    source, _, _ = scan(tmp_path, (8, 8, 8), (1.0, 1.0, 1.0))
    case = prepare_source(source, PrepareConfig(source=str(tmp_path), protocol="native")).case
    with pytest.raises(InputError, match="scores of shape"):
        labels_on_source_grid(case, np.ones((2, 8, 8, 7), dtype=np.float32))
