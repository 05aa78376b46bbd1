"""Networks that segment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...encoders.registry import create_encoder
from .convolutional import CONVOLUTIONAL
from .entry import NetworkEntry
from .segmentation_baselines import SEGMENTATION_BASELINES
from .windowed import WINDOWED

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


def _setr(name: str, widths: tuple[int, ...]) -> Build:
    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        from ..setr import SETRProgressive

        encoder = create_encoder(name, image_size=image_size, in_channels=in_channels)
        return SETRProgressive(encoder, num_classes, widths)  # type: ignore[arg-type]

    return build


def _setr_nup(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    from ..setr import SETRNaive

    encoder = create_encoder("setr", image_size=image_size, in_channels=in_channels)
    return SETRNaive(encoder, num_classes)  # type: ignore[arg-type]


def _primus(name: str) -> Build:
    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        from ..primus import PrimusSegmenter

        encoder = create_encoder(name, image_size=image_size, in_channels=in_channels)
        return PrimusSegmenter(encoder, num_classes)  # type: ignore[arg-type]

    return build


_PRIMUS = "ours, after Wald et al. 2025"
_SETR = "MONAI's ViT, our decoder after Zheng et al. 2021"
SEGMENTATION: dict[str, NetworkEntry] = {
    "conv_tiny": NetworkEntry(_conv_tiny, 2_531_414, "cnn", "ours", "conv_tiny"),
    "vit": NetworkEntry(_vit("vit"), 88_718_406, "transformer", "MONAI's ViT, our linear head", "vit"),
    "vit_tiny": NetworkEntry(_vit("vit_tiny"), 891_534, "transformer", "a small ViT, our linear head", "vit_tiny"),
    "unetr": NetworkEntry(
        _unetr("unetr", 16, 12), 93_011_238, "transformer", "MONAI 1.6, Hatamizadeh et al. 2022", "unetr"
    ),
    "unetr_tiny": NetworkEntry(_unetr("unetr_tiny", 8, 4), 2_486_710, "transformer", "MONAI 1.6, small", "unetr_tiny"),
    "setr": NetworkEntry(_setr("setr", (256, 128, 64, 32)), 95_039_334, "transformer", _SETR + ", PUP", "setr"),
    "setr_nup": NetworkEntry(_setr_nup, 88_766_982, "transformer", _SETR + ", NUP", "setr"),
    "setr_tiny": NetworkEntry(_setr("setr_tiny", (64, 32, 16)), 1_124_310, "transformer", "a small SETR", "setr_tiny"),
    "primus_m": NetworkEntry(_primus("primus_m"), 149_145_126, "transformer", _PRIMUS, "primus_m"),
    "primus_tiny": NetworkEntry(_primus("primus_tiny"), 941_182, "transformer", "ours, a small Primus", "primus_tiny"),
    **CONVOLUTIONAL,
    **WINDOWED,
    **SEGMENTATION_BASELINES,
}
