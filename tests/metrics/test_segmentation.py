from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.meandice import compute_dice
from monai.metrics.surface_dice import compute_surface_dice
from numpy.typing import NDArray

from med3dinsight.errors import InputError
from med3dinsight.metrics import segmentation_scores

Labels = NDArray[np.uint8]

# MONAI calls itself with an argument that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")


def box(*edges: tuple[int, int], shape: tuple[int, int, int] = (10, 10, 10), value: int = 1) -> Labels:
    labels = np.zeros(shape, np.uint8)
    labels[tuple(slice(*edge) for edge in edges)] = value
    return labels


def one_hot(labels: NDArray[Any], values: list[int]) -> torch.Tensor:
    return torch.stack([torch.from_numpy(labels == value) for value in values])[None]


def monai_scores(prediction: Labels, truth: Labels, values: list[int], spacing: Any, tolerance: float) -> Any:
    y_pred, y = one_hot(prediction, values), one_hot(truth, values)
    hd95 = compute_hausdorff_distance(y_pred, y, include_background=True, percentile=95, spacing=spacing)
    nsd = compute_surface_dice(y_pred, y, [tolerance] * len(values), include_background=True, spacing=spacing)
    return compute_dice(y_pred, y)[0].tolist(), hd95[0].tolist(), nsd[0].tolist()


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.7, 2.5)])
@pytest.mark.parametrize("shift", [1, 4, 9])
def test_all_three_scores_equal_monais(spacing: Any, shift: int, blobs: Callable[..., Labels]) -> None:
    truth, prediction = blobs(1), blobs(1, shift=shift)
    values, tolerance = [1, 2, 3], 1.55
    expected = monai_scores(prediction, truth, values, spacing, tolerance)
    scores = segmentation_scores(prediction, truth, spacing, values, tolerance_mm=tolerance)
    for place, value in enumerate(values):
        ours = [scores[value][metric] for metric in ("dice", "hd95_mm", "nsd")]  # type: ignore[literal-required]
        assert ours == pytest.approx([metric[place] for metric in expected], rel=1e-5)


@settings(max_examples=20)
@given(hnp.arrays(np.uint8, (2, 5, 6, 7), elements=st.integers(0, 2)))
def test_wild_masks_score_as_in_monai_where_monai_has_a_rule(masks: Labels) -> None:
    present = [value for value in (1, 2) if (masks == value).any(axis=(1, 2, 3)).all()]
    if not present:
        return
    expected = monai_scores(masks[0], masks[1], present, (1.0, 2.0, 0.5), 0.75)
    scores = segmentation_scores(masks[0], masks[1], (1.0, 2.0, 0.5), present, tolerance_mm=0.75)
    for place, value in enumerate(present):
        ours = [scores[value][metric] for metric in ("dice", "hd95_mm", "nsd")]  # type: ignore[literal-required]
        assert ours == pytest.approx([metric[place] for metric in expected], rel=1e-5, abs=1e-6)


def test_a_box_moved_by_one_voxel_scores_as_counted_by_hand() -> None:
    truth, prediction = box((2, 6), (2, 6), (2, 6)), box((3, 7), (2, 6), (2, 6))
    row = segmentation_scores(prediction, truth, (2.0, 1.0, 1.0), {"liver": 1}, tolerance_mm=1.9)["liver"]
    assert row["dice"] == 0.75
    assert (row["voxels_truth"], row["voxels_prediction"]) == (64, 64)
    # Each surface has 4^3 - 2^3 = 56 voxels: two faces of 16 and two rims of 12 between them. Of the truth's, the face
    # at x = 2 is 2 mm off. The rims at x = 3 and 4 and that of the face x = 5 are shared, and the 4 voxels in the
    # middle of that face are 1 mm from its rim.
    assert row["nsd"] == pytest.approx(2 * (56 - 16) / (2 * 56))
    assert row["hd95_mm"] == 2.0


def test_missing_an_organ_is_the_worst_score_and_both_missing_is_none() -> None:
    empty, full = np.zeros((3, 4, 12), np.uint8), np.ones((3, 4, 12), np.uint8)
    spacing = (1.0, 1.0, 1.0)
    for pair, voxels in (((empty, full), (144, 0)), ((full, empty), (0, 144))):
        assert segmentation_scores(*pair, spacing, ["a"])["a"] == {
            "dice": 0.0,
            "hd95_mm": 13.0,
            "nsd": 0.0,
            "voxels_truth": voxels[0],
            "voxels_prediction": voxels[1],
        }
    both = segmentation_scores(empty, empty, spacing, ["a"])["a"]
    assert both == {"dice": None, "hd95_mm": None, "nsd": None, "voxels_truth": 0, "voxels_prediction": 0}


def test_the_diagonal_is_in_millimetres() -> None:
    empty, full = np.zeros((3, 2, 2), np.uint8), np.ones((3, 2, 2), np.uint8)
    assert segmentation_scores(empty, full, (1.0, 2.0, 6.0), ["a"])["a"]["hd95_mm"] == 13.0


@given(hnp.arrays(np.uint8, (2, 5, 5, 5), elements=st.integers(0, 3)))
def test_scores_stay_in_their_ranges_and_equal_maps_are_perfect(masks: Labels) -> None:
    diagonal = (5**2 + 10**2 + 15**2) ** 0.5
    for row in segmentation_scores(masks[0], masks[1], (1, 2, 3), [1, 2, 3]).values():
        if row["dice"] is not None:
            assert 0 <= row["dice"] <= 1 and 0 <= row["nsd"] <= 1 and 0 <= row["hd95_mm"] <= diagonal  # type: ignore[operator]
    for row in segmentation_scores(masks[0], masks[0], (1, 2, 3), [1, 2, 3]).values():
        assert (row["dice"], row["hd95_mm"], row["nsd"]) in [(1.0, 0.0, 1.0), (None, None, None)]


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int64])
def test_wide_label_values_score_as_narrow_ones(dtype: Any, blobs: Callable[..., Labels]) -> None:
    truth, prediction = blobs(2), blobs(2, shift=2)
    wide = {"a": 500, "b": 820, "c": 205}
    table = np.array([0, *wide.values()], dtype=dtype)
    expected = segmentation_scores(prediction, truth, (1, 1, 1), ["a", "b", "c"])
    assert segmentation_scores(table[prediction], table[truth], (1, 1, 1), wide) == expected
    assert segmentation_scores(table[prediction], table[truth].astype(np.int32), (1, 1, 1), wide) == expected


def test_masks_of_booleans_and_reversed_axes_score_as_plain_ones(blobs: Callable[..., Labels]) -> None:
    truth, prediction = blobs(2, classes=1), blobs(2, classes=1, shift=2)
    expected = segmentation_scores(prediction, truth, (1, 2, 3), [1])
    assert segmentation_scores(prediction == 1, truth == 1, (1, 2, 3), [1]) == expected
    turned = [np.asfortranarray(labels)[::-1].transpose(2, 1, 0) for labels in (prediction, truth)]
    for metric, value in segmentation_scores(*turned, (3, 2, 1), [1])[1].items():
        assert value == pytest.approx(expected[1][metric])  # type: ignore[literal-required]


def test_the_background_can_be_scored_as_a_class(blobs: Callable[..., Labels]) -> None:
    truth, prediction = blobs(2, classes=1), blobs(2, classes=1, shift=2)
    ours = segmentation_scores(prediction, truth, (1, 1, 1), {"outside": 0})["outside"]
    assert ours == segmentation_scores(1 - prediction, 1 - truth, (1, 1, 1), {"outside": 1})["outside"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 2, 2), int), np.zeros((2, 2, 3), int), (1, 1, 1), [1]), "cannot compare"),
        ((np.zeros((2, 2, 2)), np.zeros((2, 2, 2), int), (1, 1, 1), [1]), "float64"),
        ((np.zeros((2, 2), int), np.zeros((2, 2), int), (1, 1), [1]), "cannot be scored"),
        ((np.zeros((0, 2, 2), int), np.zeros((0, 2, 2), int), (1, 1, 1), [1]), "cannot be scored"),
        ((np.zeros((2, 2, 2), int), np.zeros((2, 2, 2), int), (1, 1), [1]), "not three lengths"),
        ((np.zeros((2, 2, 2), int), np.zeros((2, 2, 2), int), (1, 0, 1), [1]), "not three lengths"),
        ((np.zeros((2, 2, 2), int), np.zeros((2, 2, 2), int), (1, 1, np.nan), [1]), "not three lengths"),
        ((np.zeros((2, 2, 2), int), np.zeros((2, 2, 2), int), (1, 1, 1), range(1000)), "1000 classes"),
    ],
)
def test_what_cannot_be_scored_is_said(arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        segmentation_scores(*arguments)


def test_tensors_and_voxel_sizes_as_headers_give_them_are_taken(blobs: Callable[..., Labels]) -> None:
    truth, prediction = blobs(2), blobs(2, shift=2)
    expected = segmentation_scores(prediction, truth, (0.5, 0.5, 2.0), [1])
    sizes = tuple(np.float32([0.5, 0.5, 2.0]))
    tensors = torch.from_numpy(prediction), torch.from_numpy(truth)
    assert segmentation_scores(*tensors, sizes, np.unique(truth)[1:2].tolist(), tolerance_mm=3) == expected  # type: ignore[arg-type]
    assert segmentation_scores(prediction, truth, np.array([0.5, 0.5, 2.0]), [np.uint8(1)]) == expected


@pytest.mark.parametrize("tolerance", [-1.0, float("nan"), float("inf")])
def test_a_tolerance_that_is_no_length_is_refused(tolerance: float) -> None:
    with pytest.raises(InputError, match="tolerance"):
        segmentation_scores(box((0, 1)), box((0, 1)), (1, 1, 1), [1], tolerance_mm=tolerance)
