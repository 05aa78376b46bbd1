from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import euclidean
from sklearn.manifold import TSNE
from sklearn.preprocessing import normalize

from med3dinsight.errors import ConfigError, InputError
from med3dinsight.readouts.modality_gap import centroid_gaps, map_gap


def test_gaps_are_distances_between_centroids_of_unit_vectors() -> None:
    torch.manual_seed(0)
    kinds = {"image": torch.randn(30, 8) + 1, "text": 5 * torch.randn(20, 8) - 1, "volume": torch.randn(7, 8)}
    gaps = centroid_gaps(kinds)
    centroids = {kind: normalize(rows.numpy()).mean(0) for kind, rows in kinds.items()}
    assert list(gaps) == ["image-text", "image-volume", "text-volume"]
    for pair, gap in gaps.items():
        one, other = pair.split("-")
        assert gap == pytest.approx(euclidean(centroids[one], centroids[other]), abs=1e-6)
    assert gaps["image-text"] > gaps["image-volume"]


def test_the_same_features_have_no_gap_and_lengths_do_not_matter() -> None:
    torch.manual_seed(0)
    rows = torch.randn(30, 8)
    assert centroid_gaps({"a": rows, "b": 9 * rows.flip(0)})["a-b"] == pytest.approx(0, abs=1e-6)


def pairs(shift: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(24, 6))
    return image, image + shift + 0.1 * rng.normal(size=(24, 6)), np.repeat([2, 5], [10, 14])


def test_the_map_gap_is_the_mean_over_classes_of_the_distance_on_a_common_map() -> None:
    image, text, classes = pairs(1.0)
    result = map_gap(image, text, classes, seed=3, perplexity=5)
    for value in (2, 5):
        members = classes == value
        both = np.concatenate([image[members], text[members]]).astype(np.float32)
        points = TSNE(2, perplexity=5, random_state=3).fit_transform(both)
        half = len(points) // 2
        assert result.by_class[value] == pytest.approx(
            euclidean(points[:half].mean(0), points[half:].mean(0)), rel=1e-4
        )
    assert result.gap == pytest.approx(np.mean(list(result.by_class.values())))
    assert (result.seed, result.samples, result.perplexity) == (3, {2: 10, 5: 14}, 5)


def test_kinds_that_lie_apart_have_a_wider_map_gap() -> None:
    assert map_gap(*pairs(5.0), perplexity=5).gap > 3 * map_gap(*pairs(0.0), perplexity=5).gap


def test_too_few_pairs_for_a_map_are_refused() -> None:
    image, text, classes = pairs(0)
    with pytest.raises(ConfigError, match=r"class 2 has 10 pairs.*perplexity 30.*below 20"):
        map_gap(image, text, classes)
    with pytest.raises(InputError, match="no pair"):
        map_gap(image[:0], text[:0], classes[:0])
