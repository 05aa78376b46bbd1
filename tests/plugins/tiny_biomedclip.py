"""A model of the build of BiomedCLIP with few weights, drawn from a seed and saved as open_clip saves it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tiny_towers import PICTURE, TOKENS, tokenizer

WIDTH, TEXT_WIDTH, JOINT, DEPTH, PATCH, INNER, WORDS = 128, 64, 24, 2, 8, 96, 64


def save_biomedclip(folder: Path, *, seed: int = 0) -> Path:
    """Saves a vision transformer of width 128 and a BERT of width 64, both two blocks deep, with features of 24."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    state = {}
    for name, shape in sorted(shapes().items()):
        centre = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
        state[name] = torch.tensor(centre + 0.08 * rng.standard_normal(shape), dtype=torch.float32)
    save_file(state, folder / "open_clip_model.safetensors")
    table = {
        "model_cfg": {
            "embed_dim": JOINT,
            "vision_cfg": {
                "timm_model_name": "vit_base_patch16_224",
                "timm_model_pretrained": False,
                "timm_pool": "",
                "timm_proj": "linear",
                "image_size": PICTURE,
            },
            "text_cfg": {
                "hf_model_name": "bert",
                "hf_tokenizer_name": "bert",
                "hf_proj_type": "mlp",
                "hf_pooler_type": "cls_last_hidden_state_pooler",
                "context_length": TOKENS,
            },
        },
        "preprocess_cfg": {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(table))
    tokenizer(pad="<pad>").save_pretrained(folder)
    return folder


def shapes() -> dict[str, tuple[int, ...]]:
    """Shapes of the weights by the names that open_clip gives them."""
    patches = (PICTURE // PATCH) ** 2
    found: dict[str, tuple[int, ...]] = {
        "logit_scale": (),
        "visual.trunk.cls_token": (1, 1, WIDTH),
        "visual.trunk.pos_embed": (1, patches + 1, WIDTH),
        "visual.trunk.patch_embed.proj.weight": (WIDTH, 3, PATCH, PATCH),
        "visual.trunk.patch_embed.proj.bias": (WIDTH,),
        **_layer("visual.trunk.norm", WIDTH),
        "visual.head.proj.weight": (JOINT, WIDTH),
        "text.transformer.embeddings.word_embeddings.weight": (WORDS, TEXT_WIDTH),
        "text.transformer.embeddings.position_embeddings.weight": (TOKENS, TEXT_WIDTH),
        "text.transformer.embeddings.token_type_embeddings.weight": (2, TEXT_WIDTH),
        **_layer("text.transformer.embeddings.LayerNorm", TEXT_WIDTH),
        "text.proj.0.weight": ((TEXT_WIDTH + JOINT) // 2, TEXT_WIDTH),
        "text.proj.2.weight": (JOINT, (TEXT_WIDTH + JOINT) // 2),
    }
    for depth in range(DEPTH):
        block, layer = f"visual.trunk.blocks.{depth}", f"text.transformer.encoder.layer.{depth}"
        found |= _layer(f"{block}.norm1", WIDTH) | _layer(f"{block}.norm2", WIDTH)
        found |= _layer(f"{block}.attn.qkv", 3 * WIDTH, WIDTH) | _layer(f"{block}.attn.proj", WIDTH, WIDTH)
        found |= _layer(f"{block}.mlp.fc1", INNER, WIDTH) | _layer(f"{block}.mlp.fc2", WIDTH, INNER)
        for side in ("query", "key", "value"):
            found |= _layer(f"{layer}.attention.self.{side}", TEXT_WIDTH, TEXT_WIDTH)
        found |= _layer(f"{layer}.attention.output.dense", TEXT_WIDTH, TEXT_WIDTH)
        found |= _layer(f"{layer}.attention.output.LayerNorm", TEXT_WIDTH) | _layer(
            f"{layer}.output.LayerNorm", TEXT_WIDTH
        )
        found |= _layer(f"{layer}.intermediate.dense", INNER, TEXT_WIDTH)
        found |= _layer(f"{layer}.output.dense", TEXT_WIDTH, INNER)
    return found


def _layer(name: str, outputs: int, inputs: int | None = None) -> dict[str, tuple[int, ...]]:
    weight = (outputs,) if inputs is None else (outputs, inputs)
    return {f"{name}.weight": weight, f"{name}.bias": (outputs,)}
