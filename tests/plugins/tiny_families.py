"""Tiny models of the families that the presets name, from configs with random weights, saved as published ones are.

Qwen-VL's processor also reads videos, by torchvision; MedGemma is a Gemma 3 with its own image tokens.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny_vlm import quietly, tiny_tokenizer

_QWEN = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
_GEMMA = ["<start_of_image>", "<end_of_image>", "<image_soft_token>"]


def _template(picture: str) -> str:
    return (
        "{% for message in messages %}<|{{ message.role }}|>{% for part in message.content %}"
        f"{{% if part.type == 'image' %}}{picture}{{% else %}}{{{{ part.text }}}}{{% endif %}}"
        "{% endfor %}{% endfor %}<|assistant|>"
    )


def _text(tokenizer: Any, **more: Any) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "initializer_range": 0.3,
        **more,
    }


def save_tiny_qwen(folder: Path) -> Path:
    """Builds and saves a tiny Qwen2.5-VL; returns the folder."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration
    from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

    tokenizer = tiny_tokenizer(_QWEN)
    start, end, picture, video = tokenizer.convert_tokens_to_ids(_QWEN)
    vision = {"depth": 1, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32}
    vision |= {"patch_size": 14, "fullatt_block_indexes": [0], "window_size": 28}
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
    config = Qwen2_5_VLConfig(
        text_config=_text(tokenizer, rope_parameters=rope),
        vision_config=vision,
        image_token_id=picture,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(config)
    with torch.no_grad():  # random towers say little of a picture, and should say it loudly
        for parameter in model.model.visual.merger.mlp.parameters():
            parameter.mul_(20.0)
    processor = Qwen2VLImageProcessorPil(size={"shortest_edge": 28 * 28, "longest_edge": 56 * 56})
    return _save(folder, model, tokenizer, processor, "".join((_QWEN[0], _QWEN[2], _QWEN[1])), "Qwen2_5_VLProcessor")


def save_tiny_gemma(folder: Path) -> Path:
    """Builds and saves a tiny Gemma 3; returns the folder."""
    import torch
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration
    from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil

    names = dict(zip(("boi_token", "eoi_token", "image_token"), _GEMMA, strict=True))
    tokenizer = tiny_tokenizer(_GEMMA)
    start, end, picture = tokenizer.convert_tokens_to_ids(_GEMMA)
    vision = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = Gemma3Config(
        text_config=_text(tokenizer, head_dim=16, sliding_window=1024),
        vision_config={**vision, "image_size": 28, "patch_size": 7},
        mm_tokens_per_image=4,
        boi_token_index=start,
        eoi_token_index=end,
        image_token_index=picture,
    )
    torch.manual_seed(0)
    model = Gemma3ForConditionalGeneration(config)
    with torch.no_grad():
        model.model.multi_modal_projector.mm_input_projection_weight.normal_(std=0.5)
        for parameter in model.model.vision_tower.parameters():
            parameter.mul_(10.0)
    processor = Gemma3ImageProcessorPil(size={"height": 28, "width": 28}, image_seq_length=4)
    saved = _save(folder, model, tokenizer, processor, _GEMMA[0], "Gemma3Processor")
    path = saved / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "extra_special_tokens": names}))
    (saved / "processor_config.json").write_text(
        json.dumps({"processor_class": "Gemma3Processor", "image_seq_length": 4})
    )
    return saved


def _save(folder: Path, model: Any, tokenizer: Any, processor: Any, picture: str, kind: str) -> Path:
    tokenizer.chat_template = _template(picture)
    with quietly():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor.save_pretrained(folder)
    path = folder / "preprocessor_config.json"
    settings = json.loads(path.read_text())
    path.write_text(json.dumps({**settings, "processor_class": kind}))
    return folder
