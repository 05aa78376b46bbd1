"""``open_clip``: any model that open_clip saved in a folder, by open_clip itself, which is an extra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from ..errors import ConfigError
from ..training.precision import autocast
from .joint import JointTowers
from .model_folder import model_identity, read_table


class OpenClipTowers(JointTowers):
    """Loads a model by open_clip from its folder.

    Args:
        folder: Holds open_clip_config.json, the weights and, for a text tower of transformers, the tokenizer.
        device: Where they run.

    Raises:
        ConfigError: open_clip is not installed or does not start, or the model cannot be loaded.
    """

    last_maps = ("visual.proj", "visual.head.", "text_projection", "text.proj", "text.text_projection")

    def __init__(self, folder: Path, device: torch.device) -> None:
        read_table(folder, "open_clip_config.json")
        open_clip = _library()
        try:
            self.model, _, self._prepare = open_clip.create_model_and_transforms(f"local-dir:{folder}", device=device)
            self._tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
        except Exception as error:  # a broken folder fails in as many ways as it has files
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise ConfigError(f"open_clip cannot load {folder}: {reason}", "fetch or save the model again") from None
        self.model.eval()
        self.device, self.folder = device, folder
        self.identity, self.recipe = model_identity(folder), self._prepared
        self.image_width = self.text_width = int(self.text_features(["a"]).shape[1])

    def image_features(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b e"]:
        """Returns features of prepared pictures in the joint space, not normalised; gradients flow."""
        with autocast(self.device):
            features: Tensor = self.model.encode_image(pictures.to(self.device))
        return features.float()

    def text_features(self, texts: Sequence[str]) -> Float[Tensor, "b e"]:
        """Returns features of texts in the joint space, not normalised; gradients flow."""
        with autocast(self.device):
            features: Tensor = self.model.encode_text(self._tokenizer(list(texts)).to(self.device))
        return features.float()

    def _prepared(self, pictures: Sequence[NDArray[np.uint8]]) -> Tensor:
        from PIL import Image

        return torch.stack([self._prepare(Image.fromarray(picture)) for picture in pictures])


def _library() -> Any:
    try:
        import open_clip
    except (ImportError, RuntimeError) as error:  # torchvision of another torch raises the second
        raise ConfigError(
            f"the towers open_clip need the package open_clip_torch: {str(error).splitlines()[0]}",
            "pip install 'med3dinsight[open_clip]'; the towers biomedclip, clip and siglip need no extra",
        ) from None
    return open_clip
