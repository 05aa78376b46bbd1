"""Convolutional encoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .entry import EncoderEntry

if TYPE_CHECKING:
    from torch import nn

    from ..mednext import Variant

_MONAI = "MONAI 1.6, Roy et al. 2023, kernels of 3"
_RESENC = "dynamic-network-architectures, Isensee et al. 2024"
_MERLIN = "ours, with the published key names, Blankemeier et al. 2024"


def _conv_tiny(image_size: int, in_channels: int) -> nn.Module:
    from ..conv_tiny import ConvTiny

    return ConvTiny(in_channels)


def _resenc_l(image_size: int, in_channels: int) -> nn.Module:
    from ..resenc import LARGE, ResidualEncoder, build_resenc

    return ResidualEncoder(build_resenc(LARGE, 2, image_size, in_channels))


def _resenc_tiny(image_size: int, in_channels: int) -> nn.Module:
    from ..resenc import TINY, ResidualEncoder, build_resenc

    return ResidualEncoder(build_resenc(TINY, 2, image_size, in_channels))


def _mednext(variant: Variant) -> Callable[[int, int], nn.Module]:
    def build(image_size: int, in_channels: int) -> nn.Module:
        from ..mednext import MedNeXtEncoder, build_mednext

        return MedNeXtEncoder(build_mednext(variant, 2, image_size, in_channels))

    return build


def _i3resnet152(image_size: int, in_channels: int) -> nn.Module:
    from ..any_size import check_edges
    from ..i3resnet import SMALLEST, I3ResNet

    check_edges((image_size,) * 3, SMALLEST)
    return I3ResNet(in_channels=in_channels)


def _i3resnet_tiny(image_size: int, in_channels: int) -> nn.Module:
    from ..any_size import check_edges
    from ..i3resnet import SMALLEST, I3ResNet

    check_edges((image_size,) * 3, SMALLEST)
    return I3ResNet((1, 1, 2, 1), width=8, in_channels=in_channels)


CONVOLUTIONAL: dict[str, EncoderEntry] = {
    "conv_tiny": EncoderEntry(_conv_tiny, 2_258_128, "4096 x 128", "cnn", "ours"),
    "resenc_l": EncoderEntry(_resenc_l, 90_296_576, "64 x 320", "cnn", _RESENC),
    "resenc_tiny": EncoderEntry(_resenc_tiny, 2_004_928, "4096 x 128", "cnn", _RESENC + ", small"),
    "mednext_s": EncoderEntry(_mednext("S"), 3_572_608, "512 x 512", "cnn", _MONAI),
    "mednext_b": EncoderEntry(_mednext("B"), 6_849_856, "512 x 512", "cnn", _MONAI),
    "mednext_m": EncoderEntry(_mednext("M"), 12_476_256, "512 x 512", "cnn", _MONAI),
    "mednext_l": EncoderEntry(_mednext("L"), 46_699_808, "512 x 512", "cnn", _MONAI),
    "mednext_tiny": EncoderEntry(_mednext("tiny"), 236_992, "4096 x 128", "cnn", _MONAI + ", small"),
    "i3resnet152": EncoderEntry(_i3resnet152, 117_366_208, "128 x 2048", "cnn", _MERLIN),
    "i3resnet_tiny": EncoderEntry(_i3resnet_tiny, 264_888, "128 x 256", "cnn", _MERLIN + ", small"),
}
