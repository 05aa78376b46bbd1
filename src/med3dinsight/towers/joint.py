"""What towers have in common whose pictures and texts share one space: CLIP, SigLIP, BiomedCLIP and their kin."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

#: Pictures or texts a forward pass.
ITEMS_AT_ONCE = 32
Item = TypeVar("Item")


class JointTowers(ABC):
    """A pair of towers with features of one width; a subclass loads ``model`` and computes features of a few.

    Attributes:
        model: The module of both towers, in evaluation mode.
        recipe: How grey pictures become the image tower's input.
        device: Where they run.
        identity: See :class:`~med3dinsight.towers.tower.TowerPair`.
        image_width: Length of an image feature.
        text_width: Length of a text feature; the same.
    """

    model: Any
    recipe: Callable[[Sequence[NDArray[np.uint8]]], Tensor]
    device: torch.device
    identity: str
    image_width: int
    text_width: int

    @abstractmethod
    def image_features(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b e"]:
        """Returns features of prepared pictures in the joint space, not normalised; gradients flow."""

    @abstractmethod
    def text_features(self, texts: Sequence[str]) -> Float[Tensor, "b e"]:
        """Returns features of texts in the joint space, not normalised; gradients flow."""

    @torch.inference_mode()
    def embed_images(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Maps grey pictures ``(h, w)`` uint8 of any sizes to features ``(n, image_width)``."""
        return in_parts(pictures, self.image_width, lambda part: self.image_features(self.recipe(part)))

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Maps texts to features ``(n, text_width)``; what goes beyond the tower's longest text is cut."""
        return in_parts(texts, self.text_width, self.text_features)


def in_parts(
    items: Sequence[Item], width: int, features: Callable[[Sequence[Item]], Float[Tensor, "b e"]]
) -> NDArray[np.float32]:
    """Returns the features ``(n, width)`` of all items, computed :data:`ITEMS_AT_ONCE` at a time."""
    result = np.empty((len(items), width), dtype=np.float32)
    for first in range(0, len(items), ITEMS_AT_ONCE):
        result[first : first + ITEMS_AT_ONCE] = features(items[first : first + ITEMS_AT_ONCE]).cpu().numpy()
    return result
