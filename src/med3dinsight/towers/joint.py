"""What towers have in common whose pictures and texts share one space: CLIP, SigLIP, BiomedCLIP and their kin."""

from __future__ import annotations

import math
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors.torch import save_file
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
        folder: Where the model was loaded from.
        last_maps: Beginnings of the names of the weights that map into the joint space.
        weights_file: Name of the file of weights in a folder.
        attention_maps: Last parts of the names of the linear maps that low-rank adapters are put around.
    """

    model: Any
    recipe: Callable[[Sequence[NDArray[np.uint8]]], Tensor]
    device: torch.device
    identity: str
    image_width: int
    text_width: int
    folder: Path
    last_maps: tuple[str, ...]
    weights_file = "open_clip_model.safetensors"
    attention_maps: tuple[str, ...] = ("q_proj", "v_proj", "query", "value", "qkv")

    @abstractmethod
    def image_features(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b e"]:
        """Returns features of prepared pictures in the joint space, not normalised; gradients flow."""

    @abstractmethod
    def text_features(self, texts: Sequence[str]) -> Float[Tensor, "b e"]:
        """Returns features of texts in the joint space, not normalised; gradients flow."""

    @property
    def temperature(self) -> float:
        """What similarities were divided by when the towers were trained."""
        return math.exp(-float(self.model.logit_scale))

    def save(self, folder: Path) -> None:
        """Writes the model as it is now into an empty folder that the same towers load."""
        for path in self.folder.iterdir():
            if path.suffix in (".json", ".txt", ".model") and not path.name.endswith(".index.json"):
                shutil.copyfile(path, folder / path.name)
        state = {name: value.detach().cpu().contiguous().clone() for name, value in self.model.state_dict().items()}
        save_file(state, folder / self.weights_file, {"format": "pt"})

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
