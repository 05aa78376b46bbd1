"""``embed.when = "drawn"``: features of as many slices as the projections are fitted on, and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..records import Crop
from ..targets.by_crop import CropFeatures
from ..types import Progress
from .config import EmbedConfig

#: Slices of people held out that retrieval is measured on, at least: as many as its gallery takes.
TESTED = 256


@dataclass(frozen=True)
class Sample:
    """Some rows of the slice table, in order.

    Attributes:
        rows: Row numbers.
        images: ``(n, d)`` image features.
        texts: ``(n, f)`` text features, NaN where a slice has no text.
    """

    rows: list[int]
    images: NDArray[np.float16]
    texts: NDArray[np.float16]


def embed_sample(
    config: EmbedConfig,
    features: CropFeatures,
    text_width: int,
    texts: Sequence[str | None],
    people: Sequence[str],
    progress: Progress,
) -> Sample:
    """Embeds whole crops, drawn by the seed, until ``config.sample`` slices to fit on have a text.

    Args:
        config: Says how many, and who is held out; of these as many are drawn as retrieval is measured on.
        features: Of the slice table.
        text_width: Of the features of texts.
        texts: The text of each slice, None where it has none.
        people: The person of each slice.
        progress: Told the slices done.
    """
    away = set(config.held_out)
    crops = draw_crops(
        {crop: rows for crop, rows in features.rows.items() if people[rows[0]] not in away},
        texts,
        config.sample,
        config.seed,
    )
    crops += draw_crops(
        {crop: rows for crop, rows in features.rows.items() if people[rows[0]] in away}, texts, TESTED, config.seed
    )
    total, done = sum(len(features.rows[crop]) for crop in crops), 0
    rows: list[int] = []
    images, told = [], []
    for crop in crops:
        images.append(features.images(crop))
        told.append(features.texts(crop, text_width))
        rows += features.rows[crop]
        done += len(features.rows[crop])
        progress(done, total)
    order = np.argsort(rows)  # as the table has them
    return Sample(sorted(rows), np.concatenate(images)[order], np.concatenate(told)[order])


def draw_crops(rows: Mapping[Crop, list[int]], texts: Sequence[str | None], least: int, seed: int) -> list[Crop]:
    """Draws crops until enough of their slices have a text, or all of them.

    Example:
        >>> some = {Crop("a", (x, 0, 0), 8): [2 * x, 2 * x + 1] for x in range(9)}
        >>> len(draw_crops(some, ["text", None] * 9, 3, seed=0))
        3
    """
    crops, drawn, found = list(rows), [], 0
    for number in np.random.default_rng([seed, 0xD4]).permutation(len(crops)):
        if found >= least:
            break
        drawn.append(crops[number])
        found += sum(texts[row] is not None for row in rows[crops[number]])
    return drawn
