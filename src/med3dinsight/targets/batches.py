"""Batches of pictures or texts through frozen towers, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..towers.tower import TowerPair
from ..workspace.feature_memo import Kind

#: Takes batches (lists of pictures or texts, maybe empty) and yields the ``(n, d)`` features of each, in order.
EmbedEach = Callable[[Iterable[list[Any]]], Iterator[NDArray[np.float16]]]


def features_of(towers: TowerPair, kind: Kind, batch: list[Any]) -> NDArray[np.float16]:
    """Returns the features of one batch; an empty one is not shown to the tower."""
    if not batch:
        return np.empty((0, towers.image_width if kind == "image" else towers.text_width), dtype=np.float16)
    features = towers.embed_images(batch) if kind == "image" else towers.embed_texts(batch)
    return features.astype(np.float16)


def here(towers: TowerPair, kind: Kind) -> EmbedEach:
    """Embeds in this process, each batch when its features are asked for."""
    return lambda batches: (features_of(towers, kind, batch) for batch in batches)
