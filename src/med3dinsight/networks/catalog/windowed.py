"""Segmentation networks on encoders whose attention runs inside windows, each with a decoder of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ...encoders.registry import create_encoder
from .entry import NetworkEntry

if TYPE_CHECKING:
    from torch import nn

Build = Callable[[int, int, int], "nn.Module"]


def _swin_unetr(name: str) -> Build:
    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        from ..swin_unetr import SwinUNETRSegmenter

        SwinUNETRSegmenter.sizes.check_cube(image_size)
        encoder = create_encoder(name, image_size=image_size, in_channels=in_channels)
        return SwinUNETRSegmenter(encoder, num_classes, in_channels)  # type: ignore[arg-type]

    return build


def _nnformer(name: str) -> Build:
    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        from ..nnformer import NNFormerSegmenter

        # The encoder alone takes any size; what the network refuses names sizes that the decoder takes too.
        encoder = create_encoder(name, image_size=max(image_size, 1), in_channels=in_channels)
        network = NNFormerSegmenter(encoder, num_classes)  # type: ignore[arg-type]
        network.sizes.check_cube(image_size)
        return network

    return build


_SWIN = "our encoder, MONAI's decoder, equal to MONAI 1.6; Hatamizadeh et al. 2022"
_NNFORMER = "ours, after Zhou et al. 2023"
_OLD = "SwinUNETR as MONAI computed it up to 1.4, for weights of that time"

WINDOWED: dict[str, NetworkEntry] = {
    "swin_unetr": NetworkEntry(_swin_unetr("swin_unetr"), 62_186_904, "windowed transformer", _SWIN, "swin_unetr"),
    "swin_unetr_before_1_5": NetworkEntry(
        _swin_unetr("swin_unetr_before_1_5"), 62_186_904, "windowed transformer", _OLD, "swin_unetr_before_1_5"
    ),
    "swin_unetr_tiny": NetworkEntry(
        _swin_unetr("swin_unetr_tiny"), 1_736_704, "windowed transformer", "a small SwinUNETR", "swin_unetr_tiny"
    ),
    "nnformer": NetworkEntry(_nnformer("nnformer"), 37_615_128, "windowed transformer", _NNFORMER, "nnformer"),
    "nnformer_tiny": NetworkEntry(
        _nnformer("nnformer_tiny"), 1_065_860, "windowed transformer", "ours, a small nnFormer", "nnformer_tiny"
    ),
}
