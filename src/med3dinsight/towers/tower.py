"""What a pair of 2D towers gives: features of pictures and features of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class TowerPair(Protocol):
    """A frozen image tower and a frozen text tower.

    Attributes:
        image_width: Length of an image feature.
        text_width: Length of a text feature.
        identity: Hash that changes with the weights and the preprocessing; it keys the memo of features.
    """

    image_width: int
    text_width: int
    identity: str

    def embed_images(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Maps grey pictures ``(h, w)`` uint8 to features ``(n, image_width)``."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Maps texts to features ``(n, text_width)``."""
        ...


@dataclass(frozen=True)
class TowerSizes:
    """Feature widths of a pair of towers, known without loading it."""

    image_width: int
    text_width: int
