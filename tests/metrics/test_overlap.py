from __future__ import annotations

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, f1_score

from med3dinsight.metrics import overlap
from med3dinsight.metrics.overlap import count_overlaps, dice_scores

VALUES = [0, 1, 2, 7, 255]
labels = hnp.arrays(np.uint8, (3, 4, 5), elements=st.sampled_from(VALUES))


@given(labels, labels)
def test_counts_are_those_of_the_confusion_matrix(prediction: NDArray[np.uint8], truth: NDArray[np.uint8]) -> None:
    matrix = confusion_matrix(prediction.ravel(), truth.ravel(), labels=VALUES)
    counts = count_overlaps(prediction, truth, VALUES)
    for place, value in enumerate(VALUES):
        expected = (matrix[place].sum(), matrix[:, place].sum(), matrix[place, place])
        assert (counts[value].prediction, counts[value].truth, counts[value].both) == expected


@given(labels, labels)
def test_dice_is_the_f1_score_and_none_where_both_are_empty(
    prediction: NDArray[np.uint8], truth: NDArray[np.uint8]
) -> None:
    for value, dice in dice_scores(prediction, truth, VALUES).items():
        there, true = (prediction == value).ravel(), (truth == value).ravel()
        if there.any() or true.any():
            assert dice == pytest.approx(f1_score(true, there, zero_division=0.0), abs=1e-12)
        else:
            assert dice is None


def test_counting_by_chunks_misses_no_voxel(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    prediction, truth = rng.integers(0, 3, (2, 11, 7, 5), dtype=np.uint8)
    whole = count_overlaps(prediction, truth, [0, 1, 2])
    monkeypatch.setattr(overlap, "_CHUNK", 13)
    assert count_overlaps(prediction, truth, [0, 1, 2]) == whole
    assert sum(counts.truth for counts in whole.values()) == truth.size
