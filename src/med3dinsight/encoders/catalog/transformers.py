"""Encoders whose attention sees the whole volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .entry import EncoderEntry

if TYPE_CHECKING:
    from torch import nn

#: After which blocks MONAI's UNETR taps its ViT; the paper (Hatamizadeh et al. 2022) says 3, 6, 9, 12.
_UNETR_TAPS = (4, 7, 10, 12)
_MONAI = "MONAI 1.6, Dosovitskiy et al. 2021 in 3D"


def _vit(image_size: int, in_channels: int) -> nn.Module:
    from ..vit import ViTEncoder

    return ViTEncoder(image_size, in_channels=in_channels)


def _vit_tiny(image_size: int, in_channels: int) -> nn.Module:
    from ..vit import ViTEncoder

    return ViTEncoder(
        image_size, patch_size=8, hidden_size=96, mlp_dim=384, num_layers=4, num_heads=4, in_channels=in_channels
    )


def _unetr(image_size: int, in_channels: int) -> nn.Module:
    from ..vit import ViTEncoder

    return ViTEncoder(image_size, in_channels=in_channels, taps=_UNETR_TAPS)


def _unetr_tiny(image_size: int, in_channels: int) -> nn.Module:
    from ..vit import ViTEncoder

    return ViTEncoder(image_size, hidden_size=96, mlp_dim=384, num_heads=4, in_channels=in_channels, taps=_UNETR_TAPS)


def _primus_m(image_size: int, in_channels: int) -> nn.Module:
    from ..primus import PrimusEncoder

    return PrimusEncoder(image_size, in_channels=in_channels)


def _primus_tiny(image_size: int, in_channels: int) -> nn.Module:
    from ..primus import PrimusEncoder

    return PrimusEncoder(image_size, width=96, depth=4, heads=4, in_channels=in_channels, drop_path=0.0)


def _vit2d_adapted(image_size: int, in_channels: int) -> nn.Module:
    from ..vit2d_adapted import Vit2dAdapted, random_vision

    return Vit2dAdapted(random_vision(768, 12, 12), image_size, in_channels=in_channels)


def _vit2d_adapted_tiny(image_size: int, in_channels: int) -> nn.Module:
    from ..vit2d_adapted import Vit2dAdapted, random_vision

    return Vit2dAdapted(random_vision(96, 4, 4), image_size, patch_size=8, in_channels=in_channels)


_VIT2D = "after MedBLIP; RANDOM frozen weights by name, real ones with Vit2dAdapted.from_folder"
TRANSFORMERS: dict[str, EncoderEntry] = {
    "vit": EncoderEntry(_vit, 88_568_064, "512 x 768", "transformer", _MONAI),
    "vit_tiny": EncoderEntry(_vit_tiny, 888_864, "4096 x 96", "transformer", _MONAI + ", small"),
    "unetr": EncoderEntry(_unetr, 88_568_064, "512 x 768", "transformer", "MONAI 1.6, the ViT of UNETR"),
    "unetr_tiny": EncoderEntry(
        _unetr_tiny, 1_781_280, "512 x 96", "transformer", "MONAI 1.6, the ViT of a small UNETR"
    ),
    "setr": EncoderEntry(_vit, 88_568_064, "512 x 768", "transformer", "MONAI 1.6, the ViT of SETR"),
    "setr_tiny": EncoderEntry(_vit_tiny, 888_864, "4096 x 96", "transformer", "MONAI 1.6, the ViT of a small SETR"),
    "primus_m": EncoderEntry(_primus_m, 147_624_480, "4096 x 864", "transformer", "ours, after Wald et al. 2025"),
    "primus_tiny": EncoderEntry(_primus_tiny, 893_728, "4096 x 96", "transformer", "ours, a small Primus"),
    "vit2d_adapted": EncoderEntry(_vit2d_adapted, 88_597_248, "512 x 768", "transformer", _VIT2D),
    "vit2d_adapted_tiny": EncoderEntry(_vit2d_adapted_tiny, 890_208, "4096 x 96", "transformer", "small; " + _VIT2D),
}
