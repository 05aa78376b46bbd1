"""Networks that classify whole volumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .entry import NetworkEntry

if TYPE_CHECKING:
    from torch import nn

Build = Callable[[int, int, int], "nn.Module"]


def _resnet(*, tiny: bool, shortcut_bias: bool) -> Build:
    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        from ..resnet3d import RESNET50, TINY, ResNetClassifier

        ResNetClassifier.sizes.check_cube(image_size)
        return ResNetClassifier(TINY if tiny else RESNET50, num_classes, in_channels, shortcut_bias=shortcut_bias)

    return build


def _densenet(init_features: int, growth_rate: int, blocks: tuple[int, ...]) -> Build:
    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        from monai.networks.nets import DenseNet

        from ..checked import CheckedNetwork
        from ..input_sizes import InputSizes

        network = DenseNet(3, in_channels, num_classes, init_features, growth_rate, blocks)
        # Convolution and pooling of the stem round up, the transitions between the blocks down.
        transitions = len(blocks) - 1
        return CheckedNetwork(network, InputSizes(lambda edge: -(-edge // 4) >> transitions), image_size)

    return build


def _mrnet(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    from ..mrnet import MRNet

    return MRNet(num_classes, image_size, in_channels)


def _mrnet_tiny(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    from ..mrnet import TINY, MRNet

    return MRNet(num_classes, image_size, in_channels, layout=TINY)


def _m3t(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    from ..m3t import M3T

    return M3T(num_classes, image_size, in_channels)


def _m3t_tiny(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
    from ..m3t import M3T
    from ..m3t_settings import TINY

    return M3T(num_classes, image_size, in_channels, settings=TINY)


_RESNET = "MONAI's 3D ResNet-50, He et al. 2016"
_MEDICALNET = "MONAI's 3D ResNet-50, Chen et al. 2019"
_DENSENET = "MONAI's 3D DenseNet-121, Huang et al. 2017"
_MRNET = "ours, Bien et al. 2018"
_M3T = "ours on MONAI's 2D ResNet-50, Jang & Hwang 2022"

CLASSIFICATION: dict[str, NetworkEntry] = {
    "resnet50_3d": NetworkEntry(_resnet(tiny=False, shortcut_bias=True), 46_163_010, "cnn", _RESNET),
    "resnet50_3d_tiny": NetworkEntry(_resnet(tiny=True, shortcut_bias=True), 228_874, "cnn", _RESNET + ", small"),
    "medicalnet": NetworkEntry(_resnet(tiny=False, shortcut_bias=False), 46_159_170, "cnn", _MEDICALNET),
    "medicalnet_tiny": NetworkEntry(_resnet(tiny=True, shortcut_bias=False), 228_394, "cnn", _MEDICALNET + ", small"),
    "densenet121_3d": NetworkEntry(_densenet(64, 32, (6, 12, 24, 16)), 11_244_674, "cnn", _DENSENET),
    "densenet121_3d_tiny": NetworkEntry(_densenet(16, 8, (2, 2, 2, 2)), 68_626, "cnn", _DENSENET + ", small"),
    "mrnet": NetworkEntry(_mrnet, 7_410_630, "cnn", _MRNET),
    "mrnet_tiny": NetworkEntry(_mrnet_tiny, 112_494, "cnn", _MRNET + ", small"),
    "m3t": NetworkEntry(_m3t, 30_280_674, "hybrid", _M3T),
    "m3t_tiny": NetworkEntry(_m3t_tiny, 216_490, "hybrid", _M3T + ", small"),
}
