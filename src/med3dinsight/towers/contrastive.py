"""``clip`` and ``siglip``: a published pair of towers whose pictures and texts share one space, from its folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import ConfigError
from ..training.precision import autocast
from .joint import JointTowers
from .loading import load_model, load_tokenizer
from .model_folder import model_identity, read_table
from .pictures import PictureRecipe

_LAST_MAPS = {
    "clip": ("visual_projection.", "text_projection."),
    "siglip": ("vision_model.head.", "text_model.head."),
}


class ContrastiveTowers(JointTowers):
    """Loads CLIP or SigLIP by transformers from a folder; nothing is fetched.

    Args:
        folder: Holds config.json, the weights, preprocessor_config.json and the tokenizer.
        kind: "clip" or "siglip"; the folder's model must be of that type.
        device: Where they run.

    Raises:
        ConfigError: The folder holds another model, or none that can be loaded.
    """

    weights_file = "model.safetensors"

    def __init__(self, folder: Path, kind: str, device: torch.device) -> None:
        self.kind, self.device, self.folder = kind, device, folder
        self.last_maps = _LAST_MAPS[kind]
        found = read_table(folder, "config.json").get("model_type")
        if found != kind:
            raise ConfigError(f"{folder} holds a model of type {found}, not {kind}", "name the towers of its type")
        self.recipe = PictureRecipe.read(read_table(folder, "preprocessor_config.json"), str(folder))
        self.identity = model_identity(folder)
        self.model, self._tokenizer = load_model(folder).to(device), load_tokenizer(folder)
        text = self.model.config.text_config
        self.max_tokens = int(text.max_position_embeddings)
        self.image_width = self.text_width = int(
            self.model.config.projection_dim if kind == "clip" else text.projection_size
        )

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


def _tensor(output: Any) -> Tensor:
    """Features are a tensor in transformers 4 and the pooled output in 5."""
    result: Tensor = output if isinstance(output, Tensor) else output.pooler_output
    return result
