"""The controls ``shuffled_pairs`` and ``wrong_texts``: features of slices that show something, given to others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError
from ..slices.dealing import derangement
from .pool import Pool


def shuffle_pairs(pool: Pool, seed: int) -> Pool:
    """Gives every slice that may be drawn the image and text of another one, which is not of its own crop.

    Where one crop has more than half of the slices, as few as can be get those of their own crop.

    Args:
        pool: With features. Slices that nobody draws, empty ones and those of people held out, neither give nor get.
        seed: Changes who gets whose.

    Raises:
        InputError: There is one slice only.
    """
    images, texts = (side.clone() for side in pool.tensors())
    rows = torch.tensor(pool.drawn_rows)
    order = torch.from_numpy(derangement([pool.slices[row].crop for row in pool.drawn_rows], seed))
    images[rows], texts[rows] = images[rows[order]], texts[rows[order]]
    return replace(pool, images=images, texts=texts)


def mistake_texts(pool: Pool, share: float, seed: int) -> Pool:
    """Gives a share of the slices that may be drawn a text unlike their own, of another crop where one can be had.

    The slices change texts among themselves, so that each text occurs as often as before.

    Args:
        pool: With features. Slices that nobody draws, empty ones and those of people held out, neither give nor get.
        share: Of the slices, in (0, 1]; two slices at least.
        seed: Changes who is drawn and who gets whose.

    Raises:
        InputError: There is one slice only, or so many have the same text that some would keep it.
    """
    _, texts = pool.tensors()
    rows = np.array(pool.drawn_rows)
    rows = rows[drawn_share(len(rows), share, seed)]
    own = texts[torch.from_numpy(rows)]
    words = [row.tobytes() for row in own.numpy()]
    order = torch.from_numpy(derangement(words, seed, [pool.slices[row].crop for row in rows]))
    if kept := int((own[order] == own).all(1).sum()):
        raise InputError(
            f"pretrain.wrong_texts = {share}: {kept} of {len(rows)} slices would keep their text, since most have the "
            "same one",
            "take a captioner whose texts differ",
        )
    mistaken = texts.clone()
    mistaken[torch.from_numpy(rows)] = own[order]
    return replace(pool, texts=mistaken)


def drawn_share(size: int, share: float, seed: int) -> NDArray[np.int64]:
    """Draws a share of rows, two at least, so that they can change places.

    Example:
        >>> len(drawn_share(100, 0.3, 0))
        30
    """
    count = min(max(round(size * share), 2), size)
    return np.sort(np.random.default_rng([seed, 0x57]).permutation(size)[:count])
