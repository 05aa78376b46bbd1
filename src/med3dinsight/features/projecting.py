"""Fitting the projections on training people and measuring image-to-text retrieval on new ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from ..readouts.online import matching_accuracy
from ..towers.projection import Projection, fit_tuned, fit_whitened, own_space, save_projections
from .config import EmbedConfig

#: Slices in the retrieval gallery.
GALLERY = 256


@dataclass(frozen=True)
class Retrieval:
    """R@1 among :data:`GALLERY` slices, image to text and (``texts_``) text to image; see ``EmbedResult``."""

    before: float
    after: float
    training: float
    people: str
    texts_before: float
    texts_after: float


def fit_projections(
    config: EmbedConfig, folder: Path, images: NDArray[np.float16], texts: NDArray[np.float16], people: list[str]
) -> Retrieval:
    """Fits and saves the projections of a captioner's texts.

    Args:
        config: Kind and width of the projections, and who is held out.
        folder: Where ``projection.safetensors`` is written.
        images: ``(n, d)`` image features.
        texts: ``(n, f)`` text features; rows of slices without a text are NaN, and are left out.
        people: Subject of each row.

    Returns:
        Retrieval before and after, on held-out people where there are any with texts.

    Raises:
        ConfigError: The towers' own space is asked for, and they have none in common.
        InputError: The people who are not held out have fewer than two slices with a text, or all texts are alike.
    """
    told, away = ~np.isnan(texts[:, 0]), np.isin(people, config.held_out)
    fitted, hidden = told & ~away, told & away
    if fitted.sum() < 2:
        raise InputError(
            f"{fitted.sum()} slices of the people to fit the projections on have a text of {config.captioner}",
            "caption them, or hold other people out",
        )
    train_images, train_texts = images[fitted], texts[fitted]
    start, final = _fit(config, train_images, train_texts)
    save_projections(folder / "projection.safetensors", *final)
    tested = hidden if hidden.any() else fitted
    people_of = "held out" if hidden.any() else "training"
    before, texts_before = _recalls(start, images[tested], texts[tested])
    after, texts_after = _recalls(final, images[tested], texts[tested])
    training, _ = _recalls(final, train_images, train_texts)
    return Retrieval(before, after, training, people_of, texts_before, texts_after)


def _fit(
    config: EmbedConfig, images: NDArray[np.float16], texts: NDArray[np.float16]
) -> tuple[tuple[Projection, Projection], tuple[Projection, Projection]]:
    """Returns the projections to compare with, and the final ones."""
    if config.projection == "none" or config.tunes_towers:
        unchanged = own_space(images.shape[1], texts.shape[1])
        return unchanged, unchanged
    if not np.ptp(texts, axis=0).any():
        raise InputError(
            f"the texts of {config.captioner} all have the same features", "nothing can be fitted on one text"
        )
    tuned = config.projection == "tuned"
    start = fit_whitened(images, texts, config.width, rotate=tuned)
    if tuned:
        return start, fit_tuned(images, texts, config.width, steps=config.tuning_steps, seed=config.seed)
    return start, fit_whitened(images, texts, config.width)


def _recalls(
    projections: tuple[Projection, Projection], images: NDArray[np.float16], texts: NDArray[np.float16]
) -> tuple[float, float]:
    rows = np.random.default_rng(0).permutation(len(images))[:GALLERY]
    projected: list[Float[Tensor, "m e"]] = [
        side(features[rows]) for side, features in zip(projections, (images, texts), strict=True)
    ]
    return matching_accuracy(projected[0], projected[1]), matching_accuracy(projected[1], projected[0])
