"""Convolutional encoders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .entry import EncoderEntry

if TYPE_CHECKING:
    from torch import nn


def _conv_tiny(image_size: int, in_channels: int) -> nn.Module:
    from ..conv_tiny import ConvTiny

    return ConvTiny(in_channels)


CONVOLUTIONAL: dict[str, EncoderEntry] = {
    "conv_tiny": EncoderEntry(_conv_tiny, 2_258_128, "4096 x 128", "cnn", "ours"),
}
