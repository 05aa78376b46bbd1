"""``biomedclip``: BiomedCLIP as published for open_clip, read without open_clip, timm or torchvision.

A vision transformer of timm with a linear head, and a BERT whose class token goes through a small perceptron
(Zhang et al. 2023, trained on 15 million figures of biomedical papers). Sizes are read off the weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ConfigError
from ..training.precision import autocast
from .joint import JointTowers
from .loading import load_tokenizer
from .model_folder import model_identity, read_table
from .pictures import PictureRecipe
from .timm_vit import HEAD_WIDTH, TimmViT

CONFIG = "open_clip_config.json"
#: What files of weights hold beside the weights of the two towers.
_UNUSED = ("logit_bias", "text.transformer.embeddings.position_ids", "text.transformer.pooler.")
#: Mean and spread that open_clip takes where a folder names none.
_MEAN, _STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_RESAMPLE = {"nearest": 0, "bilinear": 2, "bicubic": 3}


class BiomedClip(JointTowers):
    """Loads BiomedCLIP, or another model of its build, from its folder; nothing is fetched.

    Args:
        folder: Holds open_clip_config.json, the weights and the tokenizer.
        device: Where they run.

    Raises:
        ConfigError: The folder holds a model of another build, or none that can be loaded.
    """

    last_maps = ("visual.head.", "text.proj.")

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.device, self.folder = device, folder
        table = read_table(folder, CONFIG)
        settings = table.get("model_cfg", {})
        _check_build(folder, settings)
        state = read_weights(folder)
        self.model = _Network(state, folder).to(device).eval()
        self._tokenizer = load_tokenizer(folder)
        self.identity = model_identity(folder)
        self.max_tokens = min(int(settings["text_cfg"].get("context_length", 77)), self.model.longest_text)
        self.image_width = self.text_width = self.model.width
        self.recipe = _recipe(table.get("preprocess_cfg", {}), self.model.picture_size, str(folder))

    def image_features(self, pictures: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b e"]:
        """Returns features of prepared pictures in the joint space, not normalised; gradients flow."""
        with autocast(self.device):
            features: Tensor = self.model.visual(pictures.to(self.device))
        return features.float()

    def text_features(self, texts: Sequence[str]) -> Float[Tensor, "b e"]:
        """Returns features of texts in the joint space, not normalised; gradients flow."""
        tokens = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        )
        with autocast(self.device):
            features: Tensor = self.model.text(tokens["input_ids"].to(self.device), tokens["attention_mask"])
        return features.float()


class _Network(nn.Module):
    """Both towers, of the sizes of the weights, with the names of the weights' keys."""

    def __init__(self, state: Mapping[str, Tensor], folder: Path) -> None:
        super().__init__()
        try:
            self.logit_scale = nn.Parameter(state["logit_scale"].clone())
            self.visual, self.text = _Visual(state), _Text(state)
            wanted = {name: value for name, value in state.items() if not name.startswith(_UNUSED)}
            self.load_state_dict(wanted)
        except (KeyError, RuntimeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ConfigError(
                f"the weights in {folder} do not fit: {reason}", "biomedclip reads its build only"
            ) from None
        patches = state["visual.trunk.pos_embed"].shape[1] - 1
        self.picture_size = math.isqrt(patches) * state["visual.trunk.patch_embed.proj.weight"].shape[-1]
        self.longest_text = state["text.transformer.embeddings.position_embeddings.weight"].shape[0]
        self.width = state["visual.head.proj.weight"].shape[0]


class _Visual(nn.Module):
    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        width, _, patch, _ = state["visual.trunk.patch_embed.proj.weight"].shape
        inner = state["visual.trunk.blocks.0.mlp.fc1.weight"].shape[0]
        tokens = state["visual.trunk.pos_embed"].shape[1]
        self.trunk = TimmViT(width, inner, _depth(state, "visual.trunk.blocks."), patch, tokens)
        self.head = nn.ModuleDict({"proj": nn.Linear(width, state["visual.head.proj.weight"].shape[0], bias=False)})

    def forward(self, pictures: Tensor) -> Tensor:
        result: Tensor = self.head["proj"](self.trunk(pictures))
        return result


class _Text(nn.Module):
    def __init__(self, state: Mapping[str, Tensor]) -> None:
        from transformers import BertConfig, BertModel

        super().__init__()
        words = state["text.transformer.embeddings.word_embeddings.weight"].shape
        config = BertConfig(
            vocab_size=words[0],
            hidden_size=words[1],
            num_hidden_layers=_depth(state, "text.transformer.encoder.layer."),
            num_attention_heads=words[1] // HEAD_WIDTH,
            intermediate_size=state["text.transformer.encoder.layer.0.intermediate.dense.weight"].shape[0],
            max_position_embeddings=state["text.transformer.embeddings.position_embeddings.weight"].shape[0],
            type_vocab_size=state["text.transformer.embeddings.token_type_embeddings.weight"].shape[0],
        )
        self.transformer: Any = BertModel(config, add_pooling_layer=False)
        inner, outer = state["text.proj.0.weight"], state["text.proj.2.weight"]
        self.proj = nn.Sequential(
            nn.Linear(inner.shape[1], inner.shape[0], bias=False),
            nn.GELU(),
            nn.Linear(outer.shape[1], outer.shape[0], bias=False),
        )

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        hidden = self.transformer(input_ids=tokens, attention_mask=mask.to(tokens.device)).last_hidden_state
        result: Tensor = self.proj(hidden[:, 0])
        return result


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Reads the weights of a folder of open_clip, as safetensors where there are any.

    Raises:
        ConfigError: There are none, or they cannot be read.
    """
    from safetensors.torch import load_file

    safe, pickled = folder / "open_clip_model.safetensors", folder / "open_clip_pytorch_model.bin"
    try:
        if safe.exists():
            return load_file(safe)
        state: dict[str, Tensor] = torch.load(pickled, map_location="cpu", weights_only=True)
        return state
    except Exception as error:  # a broken file fails in many ways
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"no weights to read in {folder}: {reason}", "fetch the model again") from None


def _check_build(folder: Path, settings: Mapping[str, Any]) -> None:
    vision, text = settings.get("vision_cfg", {}), settings.get("text_cfg", {})
    built = str(vision.get("timm_model_name", "")).startswith("vit_") and vision.get("timm_proj") == "linear"
    if not built or text.get("hf_pooler_type") != "cls_last_hidden_state_pooler" or text.get("hf_proj_type") != "mlp":
        raise ConfigError(
            f"{folder} holds a model of another build than BiomedCLIP",
            "name the towers open_clip, which need the extra open_clip",
        )


def _recipe(table: Mapping[str, Any], edge: int, where: str) -> PictureRecipe:
    square = {"height": edge, "width": edge}
    sizes = {"shortest": {"shortest_edge": edge}, "squash": square}
    resample, mode = table.get("interpolation", "bicubic"), table.get("resize_mode", "shortest")
    if resample not in _RESAMPLE or mode not in sizes:
        raise ConfigError(f"{where} resizes pictures by {mode}, {resample}", "known: shortest, squash; bicubic")
    steps = {
        "size": sizes[mode],
        "do_center_crop": True,
        "crop_size": square,
        "resample": _RESAMPLE[resample],
        "image_mean": table.get("mean", _MEAN),
        "image_std": table.get("std", _STD),
    }
    return replace(PictureRecipe.read(steps, where), crop_rounds=True)


def _depth(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({name[len(prefix) :].split(".")[0] for name in state if name.startswith(prefix)})
