"""Networks that segment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...encoders.registry import create_encoder
from .entry import NetworkEntry

if TYPE_CHECKING:
    from torch import nn

Build = Callable[[int, int, int], "nn.Module"]


def _conv_tiny(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    from ..conv_tiny import ConvTinySegmenter

    return ConvTinySegmenter(num_classes, in_channels)


def _vit(name: str) -> Build:
    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        from ..vit import ViTSegmenter

        encoder = create_encoder(name, image_size=image_size, in_channels=in_channels)
        return ViTSegmenter(encoder, num_classes)  # type: ignore[arg-type]

    return build


def _unetr(name: str, feature_size: int, num_heads: int) -> Build:
    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        from ..unetr import UNETRSegmenter

        encoder = create_encoder(name, image_size=image_size, in_channels=in_channels)
        return UNETRSegmenter(encoder, num_classes, feature_size, num_heads, in_channels)  # type: ignore[arg-type]

    return build


SEGMENTATION: dict[str, NetworkEntry] = {
    "conv_tiny": NetworkEntry(_conv_tiny, 2_531_414, "cnn", "ours", "conv_tiny"),
    "vit": NetworkEntry(_vit("vit"), 88_718_406, "transformer", "MONAI's ViT, our linear head", "vit"),
    "vit_tiny": NetworkEntry(_vit("vit_tiny"), 891_534, "transformer", "a small ViT, our linear head", "vit_tiny"),
    "unetr": NetworkEntry(
        _unetr("unetr", 16, 12), 93_011_238, "transformer", "MONAI 1.6, Hatamizadeh et al. 2022", "unetr"
    ),
    "unetr_tiny": NetworkEntry(_unetr("unetr_tiny", 8, 4), 2_486_710, "transformer", "MONAI 1.6, small", "unetr_tiny"),
}
