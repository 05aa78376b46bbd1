"""``clip`` and ``siglip``: a published pair of towers whose pictures and texts share one space, from its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError
from ..training.precision import autocast
from .model_folder import model_identity, read_table
from .pictures import PictureRecipe

Item = TypeVar("Item")
#: Pictures or texts a forward pass.
ITEMS_AT_ONCE = 32
#: The name of the towers -> ``model_type`` of the folders they read.
MODEL_TYPES = {"clip": "clip", "siglip": "siglip"}


class ContrastiveTowers:
    """Loads CLIP or SigLIP by transformers from a folder; nothing is fetched.

    Args:
        folder: Holds config.json, the weights, preprocessor_config.json and the tokenizer.
        kind: "clip" or "siglip"; the folder's model must be of that type.
        device: Where they run.

    Attributes:
        model: The model of transformers, in evaluation mode.
        recipe: How pictures are prepared; read from the folder.

    Raises:
        ConfigError: The folder holds another model, or none that can be loaded.
    """

    def __init__(self, folder: Path, kind: str, device: torch.device) -> None:
        self.kind, self.device = kind, device
        found = read_table(folder, "config.json").get("model_type")
        if found != MODEL_TYPES[kind]:
            raise ConfigError(f"{folder} holds a model of type {found}, not {kind}", "name the towers of its type")
        self.recipe = PictureRecipe.read(read_table(folder, "preprocessor_config.json"), str(folder))
        self.model, self._tokenizer = _load(folder)
        self.model.to(device)
        self.identity = model_identity(folder)
        text = self.model.config.text_config
        self.max_tokens = int(text.max_position_embeddings)
        self.image_width = self.text_width = int(
            self.model.config.projection_dim if kind == "clip" else text.projection_size
        )

    @torch.inference_mode()
    def embed_images(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Maps grey pictures ``(h, w)`` uint8 of any sizes to features ``(n, image_width)``."""
        return _in_parts(pictures, self.image_width, lambda part: self.image_features(self.recipe(part)))

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Maps texts to features ``(n, text_width)``; what goes beyond the tower's longest text is cut."""
        return _in_parts(texts, self.text_width, self.text_features)

    def image_features(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b e"]:
        """Returns features of prepared pictures in the joint space, not normalised; gradients flow."""
        with autocast(self.device):
            features = _tensor(self.model.get_image_features(pixel_values=pictures.to(self.device)))
        return features.float()

    def text_features(self, texts: Sequence[str]) -> Float[Tensor, "b e"]:
        """Returns features of texts in the joint space, not normalised; gradients flow."""
        # SigLIP was trained on texts padded to full length and without a mask: it reads the padding.
        padding = True if self.kind == "clip" else "max_length"
        tokens = self._tokenizer(
            list(texts), padding=padding, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        )
        wanted = ("input_ids", "attention_mask") if self.kind == "clip" else ("input_ids",)
        with autocast(self.device):
            features = _tensor(self.model.get_text_features(**{name: tokens[name].to(self.device) for name in wanted}))
        return features.float()


def _load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the stage has a bar of its own
    try:
        model = AutoModel.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # a broken folder fails in as many ways as it has files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{folder} cannot be loaded: {reason}", "fetch or save the model again") from None
    return model.float().eval(), tokenizer


def _tensor(output: Any) -> Tensor:
    """Features are a tensor in transformers 4 and the pooled output in 5."""
    result: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return result


def _in_parts(
    items: Sequence[Item], width: int, features: Callable[[Sequence[Item]], Float[Tensor, "b e"]]
) -> NDArray[np.float32]:
    result = np.empty((len(items), width), dtype=np.float32)
    for first in range(0, len(items), ITEMS_AT_ONCE):
        result[first : first + ITEMS_AT_ONCE] = features(items[first : first + ITEMS_AT_ONCE]).cpu().numpy()
    return result
