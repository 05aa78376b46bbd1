"""Networks that segment without an encoder that can be pre-trained here: the baselines."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import TYPE_CHECKING

from .entry import NetworkEntry

if TYPE_CHECKING:
    from torch import nn

Build = Callable[[int, int, int], "nn.Module"]


def _unet(features: tuple[int, ...]) -> Build:
    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        from monai.networks.nets import BasicUNet

        from ..checked import CheckedNetwork
        from ..input_sizes import InputSizes

        # MONAI prints the widths to the standard output, where commands write their results.
        with contextlib.redirect_stdout(io.StringIO()):
            network = BasicUNet(3, in_channels, num_classes, features)
        return CheckedNetwork(network, InputSizes(lambda edge: edge // 16, instance_norm=True), image_size)

    return build


def _attention_unet(channels: tuple[int, ...]) -> Build:
    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        from monai.networks.nets import AttentionUnet

        from ..checked import CheckedNetwork
        from ..input_sizes import InputSizes

        halvings = len(channels) - 1
        network = AttentionUnet(3, in_channels, num_classes, channels, (2,) * halvings)
        return CheckedNetwork(network, InputSizes(lambda edge: edge >> halvings, 1 << halvings), image_size)

    return build


def _med3d(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    from ..med3d import Med3D
    from ..resnet3d import RESNET50

    Med3D.sizes.check_cube(image_size)
    return Med3D(RESNET50, num_classes, in_channels)


def _med3d_tiny(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    from ..med3d import Med3D
    from ..resnet3d import TINY

    Med3D.sizes.check_cube(image_size)
    return Med3D(TINY, num_classes, in_channels, head=16)


def _nnunet(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    from ..nnunet import FULL, NNUNet

    return NNUNet(FULL, num_classes, image_size, in_channels)


def _nnunet_tiny(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    from ..nnunet import TINY, NNUNet

    return NNUNet(TINY, num_classes, image_size, in_channels)


def _transunet(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    from ..nnunet import FULL
    from ..transunet import build_transunet

    return build_transunet(FULL, (768, 12, 12), num_classes, image_size, in_channels)


def _transunet_tiny(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    from ..nnunet import TINY
    from ..transunet import build_transunet

    return build_transunet(TINY, (96, 2, 4), num_classes, image_size, in_channels)


_UNET = "MONAI's BasicUNet, Falk et al. 2019"
_ATTENTION = "MONAI 1.6, Oktay et al. 2018"
_MED3D = "MONAI's ResNet-50, dilated, our head; Chen et al. 2019"
_NNUNET = "dynamic-network-architectures, Isensee et al. 2021"
_TRANSUNET = "nnU-Net's network, MONAI's blocks, Chen et al. 2023"

SEGMENTATION_BASELINES: dict[str, NetworkEntry] = {
    "unet": NetworkEntry(_unet((32, 32, 64, 128, 256, 32)), 5_749_542, "cnn", _UNET),
    "unet_tiny": NetworkEntry(_unet((8, 8, 16, 32, 64, 8)), 360_462, "cnn", _UNET + ", small"),
    "attention_unet": NetworkEntry(_attention_unet((32, 64, 128, 256, 512)), 23_626_118, "cnn", _ATTENTION),
    "attention_unet_tiny": NetworkEntry(_attention_unet((8, 16, 32)), 89_242, "cnn", _ATTENTION + ", small"),
    "med3d": NetworkEntry(_med3d, 46_707_360, "cnn", _MED3D),
    "med3d_tiny": NetworkEntry(_med3d_tiny, 267_736, "cnn", _MED3D + ", small"),
    "nnunet": NetworkEntry(_nnunet, 31_198_814, "cnn", _NNUNET),
    "nnunet_tiny": NetworkEntry(_nnunet_tiny, 351_506, "cnn", _NNUNET + ", small"),
    "transunet": NetworkEntry(_transunet, 116_796_574, "hybrid", _TRANSUNET),
    "transunet_tiny": NetworkEntry(_transunet_tiny, 981_042, "hybrid", _TRANSUNET + ", small"),
}
