"""``dinov3``: an image tower that knows no texts (DINOv3, DINOv2, ViT), beside MiniLM for the texts.

Self-supervised image features are strong on medical pictures, but the sides share no space: projections are
fitted as for ``minilm-lite``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..datasets import archives
from ..errors import ConfigError
from ..training.precision import autocast
from ..workspace.provenance import fingerprint
from .joint import in_parts
from .loading import load_model
from .minilm import MAX_TOKENS, TEXT_WIDTH, MiniLM
from .model_folder import model_identity, read_table
from .pictures import PictureRecipe


class ImageOnlyTowers:
    """Loads an image tower by transformers from a folder, and MiniLM from its package.

    A picture's feature is the class token after the last normalisation (of DINOv3's convolutional towers the
    global mean, which stands in the same place). What a tower pools beyond that is not read: many published
    weights come without it.

    Args:
        folder: Holds config.json, the weights and preprocessor_config.json.
        device: Where they run.

    Raises:
        ConfigError: The folder holds no image tower, or none that can be loaded.
        DownloadError: MiniLM is not in the cache and cannot be fetched or verified.
    """

    text_width = TEXT_WIDTH

    def __init__(self, folder: Path, device: torch.device) -> None:
        settings = read_table(folder, "config.json")
        if "text_config" in settings or "image_size" not in settings:
            kind = settings.get("model_type")
            raise ConfigError(f"{folder} holds a model of type {kind}, no image tower", "see `med3dinsight towers`")
        self.recipe = PictureRecipe.read(read_table(folder, "preprocessor_config.json"), str(folder))
        self.device = device
        self.model = load_model(folder, unused=("pooler.",)).to(device)
        self.identity = fingerprint(model_identity(folder), archives.MINILM.sha256, MAX_TOKENS)
        sizes = settings.get("hidden_sizes") or [settings["hidden_size"]]
        self.image_width = int(sizes[-1])
        self._texts = MiniLM(device)

    @torch.inference_mode()
    def embed_images(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Maps grey pictures ``(h, w)`` uint8 of any sizes to features ``(n, image_width)``."""
        return in_parts(pictures, self.image_width, self._features)

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Maps texts to features ``(n, 384)`` of MiniLM."""
        return self._texts.embed_texts(texts)

    def _features(self, pictures: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        with autocast(self.device):
            output = self.model(pixel_values=self.recipe(pictures).to(self.device))
        features: torch.Tensor = output.last_hidden_state[:, 0].float()
        return features
