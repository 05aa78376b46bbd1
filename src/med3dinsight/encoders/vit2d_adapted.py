"""``vit2d_adapted``: a frozen 2D vision transformer that reads volumes, after MedBLIP (Chen et al. 2023, 2305.10799).

In front of the 2D transformer's blocks stand a learned 3D patch embedding and a learned 3D position table, behind them
a learned norm; the blocks and the class token stay as they were and get no gradient.
Departs from the paper in that the class token is not among the tokens (it is attended to, but lies nowhere in the
volume), in that the norm starts as the transformer's own last norm where it has one for its tokens, and in that any
input size works, for which the table is interpolated. The paper's transformer is EVA-CLIP's ViT-g.

By name it is built with RANDOM frozen weights, for tests and counts and as a baseline: nothing is fetched. Real ones
come from a folder: :meth:`Vit2dAdapted.from_folder`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..errors import InputError
from ..types import Shape3
from .encoder import EncoderOutput
from .patches import embed_patches, patch_grid, resize_table, take_tokens
from .taps import quarters, tapped

#: What the configuration of transformers calls a model, and the class there that loads its vision part.
FAMILIES = {
    "vit": "ViTModel",
    "clip": "CLIPVisionModel",
    "clip_vision_model": "CLIPVisionModel",
    "siglip": "SiglipVisionModel",
    "siglip_vision_model": "SiglipVisionModel",
}


@dataclass(frozen=True)
class VisionParts:
    """What is kept of a 2D vision transformer; its 2D patch embedding and positions are not.

    Attributes:
        blocks: The transformer blocks.
        class_token: ``(1, 1, c)``; None for one without.
        first_norm: What stands before the first block.
        last_norm: The norm behind the last block, a copy that may learn.
    """

    blocks: nn.ModuleList
    class_token: Tensor | None
    first_norm: nn.Module
    last_norm: nn.Module


class Vit2dAdapted(nn.Module):
    """A frozen 2D transformer between a learned 3D patch embedding and a learned norm.

    Args:
        vision: A ``ViTModel``, ``CLIPVisionModel`` or ``SiglipVisionModel`` of transformers; its blocks are taken over
            and frozen.
        image_size: Edge in voxels of the cube that the position table is made for; a multiple of ``patch_size``.
        patch_size: Edge of a 3D patch in voxels.
        in_channels: Channels of the input.

    Raises:
        ConfigError: ``image_size`` is no multiple of ``patch_size``.
    """

    takes_keep = True

    def __init__(self, vision: nn.Module, image_size: int = 128, patch_size: int = 16, in_channels: int = 1) -> None:
        super().__init__()
        self.table_grid = patch_grid((image_size,) * 3, patch_size)
        parts = _parts(vision)
        width = int(vision.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.image_size, self.patch_size, self.embed_dim = image_size, patch_size, width
        self.taps = quarters(len(parts.blocks))
        self.widths: tuple[int, ...] = (width,) * len(self.taps)
        self.patches = nn.Conv3d(in_channels, width, patch_size, stride=patch_size)
        self.positions = nn.Parameter(torch.empty(1, math.prod(self.table_grid), width))
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.frozen = nn.ModuleDict({"first_norm": parts.first_norm, "blocks": parts.blocks}).requires_grad_(False)
        self.class_token: nn.Parameter | None = None
        if parts.class_token is not None:
            self.class_token = nn.Parameter(parts.class_token.detach().clone(), requires_grad=False)
            self.class_position = nn.Parameter(torch.empty(1, 1, width))
            nn.init.trunc_normal_(self.class_position, std=0.02)
        self.norm = parts.last_norm.requires_grad_(True)

    @classmethod
    def from_folder(
        cls, folder: str | Path, image_size: int = 128, patch_size: int = 16, in_channels: int = 1
    ) -> Vit2dAdapted:
        """Takes a 2D transformer from a folder that transformers' ``save_pretrained`` wrote; nothing is fetched.

        Raises:
            InputError: There is no such folder, no vision transformer of a known family in it, or weights are missing.
        """
        return cls(_load_vision(Path(folder)), image_size, patch_size, in_channels)

    def forward(self, volume: Float[Tensor, "b i x y z"], keep: Int[Tensor, "b m"] | None = None) -> EncoderOutput:
        """Encodes volumes.

        Args:
            volume: Edges are multiples of ``patch_size``.
            keep: Numbers of the only tokens to encode, in C order of the grid. The output then holds these tokens in
                this order, the full grid, and no pyramid.

        Raises:
            ConfigError: The volumes cannot be cut into patches.
        """
        grid = patch_grid((volume.shape[2], volume.shape[3], volume.shape[4]), self.patch_size)
        tokens = self._embed(volume, grid)
        if keep is not None:
            tokens = take_tokens(tokens, keep)
        extra = 0
        if self.class_token is not None:
            first = (self.class_token + self.class_position).expand(len(tokens), -1, -1)
            tokens, extra = torch.cat([first, tokens], 1), 1
        tokens = self.frozen["first_norm"](tokens)
        states = []
        for block in self.frozen["blocks"]:  # type: ignore[attr-defined]
            tokens = block(tokens, None)
            states.append(tokens[:, extra:])
        states[-1] = self.norm(states[-1])
        return tapped(states, grid, self.taps, whole=keep is None)

    def train(self, mode: bool = True) -> Vit2dAdapted:
        """Sets training or evaluation; the frozen part stays in evaluation, without dropout."""
        super().train(mode)
        self.frozen.eval()
        return self

    def _embed(self, volume: Float[Tensor, "b i x y z"], grid: Shape3) -> Float[Tensor, "b n c"]:
        patches = embed_patches(volume, self.patches)
        return patches + resize_table(self.positions, self.table_grid, grid)


def random_vision(width: int, depth: int, heads: int) -> nn.Module:
    """Builds transformers' 2D ViT with random weights.

    Args:
        width: Token width; the feed-forward layers are four times as wide.
        depth: Blocks.
        heads: Attention heads.
    """
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(
        hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads, intermediate_size=4 * width
    )
    config._attn_implementation = "sdpa"  # fused: many 3D patches are many tokens
    return ViTModel(config, add_pooling_layer=False)


def _parts(vision: Any) -> VisionParts:
    """Takes a vision transformer of transformers apart."""
    embeddings = vision.embeddings
    if hasattr(vision, "layers"):  # ViT
        return VisionParts(vision.layers, embeddings.cls_token, nn.Identity(), _copied(vision.layernorm))
    if hasattr(vision, "pre_layrnorm"):  # CLIP, whose last norm is for the class token alone
        width = vision.config.hidden_size
        token = embeddings.class_embedding.reshape(1, 1, width)
        return VisionParts(vision.encoder.layers, token, vision.pre_layrnorm, nn.LayerNorm(width))
    return VisionParts(vision.encoder.layers, None, nn.Identity(), _copied(vision.post_layernorm))  # SigLIP


def _copied(norm: nn.LayerNorm) -> nn.LayerNorm:
    # Not by deepcopy, which looks at where a tensor lies: tensors of a forecast lie nowhere.
    copied = nn.LayerNorm(norm.normalized_shape, norm.eps)
    copied.load_state_dict(norm.state_dict())
    return copied


def _load_vision(folder: Path) -> nn.Module:
    import transformers

    hint = "give the folder that save_pretrained of transformers wrote: a ViT, CLIP or SigLIP"
    if not (folder / "config.json").is_file():
        raise InputError(f"no vision transformer at {folder}: there is no config.json", hint)
    kind = transformers.PreTrainedConfig.get_config_dict(folder)[0].get("model_type")
    if kind not in FAMILIES:
        raise InputError(f"{folder} holds a {kind}, which is no vision transformer that is known here", hint)
    family = getattr(transformers, FAMILIES[kind])
    try:
        vision, told = family.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, attn_implementation="sdpa"
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{folder} cannot be loaded: {error}", hint) from error
    # A pooler is not used here, and may be missing.
    missing = sorted(key for key in told["missing_keys"] if not key.startswith(("pooler.", "head.")))
    if missing:
        raise InputError(f"{folder} lacks {len(missing)} tensors, such as {missing[0]}", hint)
    return vision
