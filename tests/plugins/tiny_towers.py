"""CLIP and SigLIP of a few thousand weights, built from a config and saved as published ones are, offline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast, SiglipConfig, SiglipModel
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

PICTURE = 32
TOKENS = 16
_WORDS = (
    *("a", "an", "the", "of", "slice", "shows", "bone", "lung", "air", "soft", "tissue", "fat", "head", "chest"),
    *("plane", "in", "=", ".", *"0123456789"),
    *("axial", "coronal", "sagittal", "at", "upper", "lower"),
)
#: The end of a text has the highest number, as in CLIP: its text tower reads the feature there.
_END = len(_WORDS) + 3
_VISION = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": PICTURE,
    "patch_size": 8,
}


def save_clip(folder: Path, *, seed: int = 0, resize: int = 40) -> Path:
    """Saves a tiny CLIP of width 24 with its processor and tokenizer; pictures are resized and cropped."""
    torch.manual_seed(seed)
    text = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": TOKENS,
        "vocab_size": len(_WORDS) + 4,
        "bos_token_id": 1,
        "eos_token_id": _END,
        "pad_token_id": _END,
    }
    CLIPModel(CLIPConfig(text_config=text, vision_config=_VISION, projection_dim=24)).eval().save_pretrained(folder)
    crop = {"height": PICTURE, "width": PICTURE}
    CLIPImageProcessorPil(size={"shortest_edge": resize}, crop_size=crop).save_pretrained(folder)
    tokenizer(pad="</s>").save_pretrained(folder)
    return folder


def save_siglip(folder: Path, *, seed: int = 0) -> Path:
    """Saves a tiny SigLIP of width 32 with its processor and tokenizer; pictures are squeezed into a square."""
    torch.manual_seed(seed)
    text = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": TOKENS,
        "vocab_size": len(_WORDS) + 4,
        "projection_size": 32,
        "bos_token_id": 1,
        "eos_token_id": _END,
    }
    SiglipModel(SiglipConfig(text_config=text, vision_config=_VISION)).eval().save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": PICTURE, "width": PICTURE}).save_pretrained(folder)
    tokenizer(pad="<pad>").save_pretrained(folder)
    return folder


def pictures(count: int, seed: int = 0) -> list[NDArray[np.uint8]]:
    """Grey pictures of different, mostly not square sizes with something to see in them."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        height, width = (int(edge) for edge in rng.integers(20, 90, 2))
        coarse = rng.integers(0, 256, (-(-height // 6), -(-width // 6)))
        found.append(np.kron(coarse, np.ones((6, 6)))[:height, :width].astype(np.uint8))
    return found


def tokenizer(pad: str) -> PreTrainedTokenizerFast:
    """A tokenizer of a few words and all digits, with `<s>` and `</s>` around a text."""
    words = {word: number for number, word in enumerate(["<pad>", "<s>", "<unk>", *_WORDS, "</s>"])}
    words_to_numbers = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    words_to_numbers.normalizer = normalizers.Lowercase()
    words_to_numbers.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]
    )
    words_to_numbers.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", _END)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words_to_numbers,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        pad_token=pad,
        model_max_length=TOKENS,
    )
