"""Segmentation networks on convolutional encoders, each with a decoder of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from .entry import NetworkEntry

if TYPE_CHECKING:
    from torch import nn

    from ...encoders.mednext import Variant

Build = Callable[[int, int, int], "nn.Module"]

_MEDNEXT = "MONAI 1.6, Roy et al. 2023, kernels of 3"
_RESENC = "dynamic-network-architectures, Isensee et al. 2024"


def _mednext(variant: Variant) -> Build:
    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        from ..mednext import MedNeXtSegmenter

        return MedNeXtSegmenter(variant, num_classes, image_size, in_channels)

    return build


def _resenc(size: Literal["LARGE", "TINY"]) -> Build:
    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        from ...encoders import resenc
        from ..resenc import ResidualEncoderSegmenter

        stages = resenc.LARGE if size == "LARGE" else resenc.TINY
        return ResidualEncoderSegmenter(stages, num_classes, image_size, in_channels)

    return build


CONVOLUTIONAL: dict[str, NetworkEntry] = {
    "resenc_l": NetworkEntry(_resenc("LARGE"), 102_348_358, "cnn", _RESENC, "resenc_l"),
    "resenc_tiny": NetworkEntry(_resenc("TINY"), 2_381_798, "cnn", _RESENC + ", small", "resenc_tiny"),
    "mednext_s": NetworkEntry(_mednext("S"), 5_551_046, "cnn", _MEDNEXT, "mednext_s"),
    "mednext_b": NetworkEntry(_mednext("B"), 10_510_982, "cnn", _MEDNEXT, "mednext_b"),
    "mednext_m": NetworkEntry(_mednext("M"), 17_533_638, "cnn", _MEDNEXT, "mednext_m"),
    "mednext_l": NetworkEntry(_mednext("L"), 61_726_886, "cnn", _MEDNEXT, "mednext_l"),
    "mednext_tiny": NetworkEntry(_mednext("tiny"), 344_950, "cnn", _MEDNEXT + ", small", "mednext_tiny"),
}
