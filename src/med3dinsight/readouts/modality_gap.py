"""The modality gap: do features of pictures, texts and volumes lie in one place, or each kind in its own?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from ..errors import ConfigError, InputError


@dataclass(frozen=True)
class MapGap:
    """Gap on t-SNE maps, with what it depends on.

    Attributes:
        gap: Mean over the classes, in units of the map.
        by_class: ``{class: distance of the two centroids on its map}``.
        samples: ``{class: pairs}``.
        seed: Seed of the maps.
        perplexity: Of the maps.
    """

    gap: float
    by_class: dict[int, float]
    samples: dict[int, int]
    seed: int
    perplexity: float


def centroid_gaps(features: Mapping[str, Float[Tensor, "_ e"]]) -> dict[str, float]:
    r"""Distances between the centroids of kinds of features in their own space.

    .. math:: \| \tfrac1n \sum_i x_i / \|x_i\| - \tfrac1m \sum_j y_j / \|y_j\| \|

    0 (same place) to 2 (opposite poles); needs no seed, and no equal numbers (Liang et al., "Mind the gap",
    NeurIPS 2022).

    Args:
        features: ``{kind: features}``, for instance image, text and volume, not normalised, in one space.

    Returns:
        ``{"image-text": gap, ...}`` for every two kinds, in the order given.

    Example:
        >>> import torch
        >>> centroid_gaps({"image": torch.tensor([[2.0, 0.0]]), "text": torch.tensor([[-1.0, 0.0]])})
        {'image-text': 2.0}
    """
    centroids = {kind: F.normalize(rows.float(), dim=-1).mean(0) for kind, rows in features.items()}
    return {f"{a}-{b}": float((centroids[a] - centroids[b]).norm()) for a, b in combinations(centroids, 2)}


def map_gap(
    image: Float[np.ndarray, "n e"],
    text: Float[np.ndarray, "n e"],
    classes: Int[np.ndarray, " n"],
    *,
    seed: int = 0,
    perplexity: float = 30.0,
) -> MapGap:
    """The gap of the extended Med3DInsight (arXiv 2509.09064): class by class, on a 2D t-SNE map of both kinds.

    It depends on the seed, the number of samples and the perplexity, all of which are returned; two gaps compare only
    where these are equal. :func:`centroid_gaps` has no such freedom. The source does not state its t-SNE settings:
    here they are scikit-learn's defaults.

    Args:
        image: Image features.
        text: Text features of the same slices, in the same space.
        classes: Classes of the slices.
        seed: Of the map.
        perplexity: Of the map, below the number of points (two a pair) of the smallest class.

    Raises:
        ConfigError: A class has too few pairs for the perplexity.
        InputError: There is no pair at all.
    """
    from sklearn.manifold import TSNE

    if not len(classes):
        raise InputError("there is no pair to map", "give image and text features of at least one class")
    by_class, samples = {}, {}
    for value in np.unique(classes):
        members = classes == value
        count = int(members.sum())
        if 2 * count <= perplexity:
            raise ConfigError(
                f"class {value} has {count} pairs, too few for a t-SNE map of perplexity {perplexity:g}",
                f"use a perplexity below {2 * count}, or leave the class out",
            )
        both = np.concatenate([image[members], text[members]]).astype(np.float32)
        points = TSNE(2, perplexity=perplexity, random_state=seed).fit_transform(both)
        by_class[int(value)] = float(np.linalg.norm(points[:count].mean(0) - points[count:].mean(0)))
        samples[int(value)] = count
    return MapGap(float(np.mean(list(by_class.values()))), by_class, samples, seed, perplexity)
