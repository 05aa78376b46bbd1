"""``med3d``: MedicalNet for segmentation, a 3D ResNet-50 whose maps stay at an eighth of the input.

Chen et al. 2019, "Med3D: Transfer learning for 3D medical image analysis" (arXiv 1904.00625).
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from .input_sizes import InputSizes
from .resnet3d import Layers, build_resnet


class Med3D(nn.Module):
    """Scores voxels at a quarter of the input's size and interpolates the scores trilinearly.

    The last two layers keep their stride at one and dilate instead, by 2 and 4. ``encoder`` takes the published
    weights, ``conv_seg`` is named as in the published code. Volumes of any size; in training batch norm needs more
    than one value a channel, so a batch of one volume of at most 8 voxels an edge is refused.

    Args:
        layers: Blocks and bottleneck widths of the four layers.
        num_classes: Classes with background.
        in_channels: Channels of the input.
        head: Channels of the head.
    """

    sizes = InputSizes(lambda edge: -(-edge // 8))

    def __init__(self, layers: Layers, num_classes: int, in_channels: int = 1, *, head: int = 32) -> None:
        super().__init__()
        self.encoder = build_resnet(layers, in_channels, shortcut_bias=False)
        _dilate(self.encoder.layer3, 2)
        _dilate(self.encoder.layer4, 4)
        self.conv_seg = nn.Sequential(
            nn.ConvTranspose3d(4 * layers[1][-1], head, 2, stride=2),
            nn.BatchNorm3d(head),
            nn.ReLU(inplace=True),
            nn.Conv3d(head, head, 3, padding=1, bias=False),
            nn.BatchNorm3d(head),
            nn.ReLU(inplace=True),
            nn.Conv3d(head, num_classes, 1, bias=False),
        )

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b k x y z"]:
        """Returns class scores at the input's size.

        Raises:
            ConfigError: One volume in training leaves one value to normalise.
        """
        self.sizes.check(volume, self.training)
        net = self.encoder
        features = net.maxpool(net.act(net.bn1(net.conv1(volume))))
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            features = layer(features)
        return F.interpolate(self.conv_seg(features), size=volume.shape[2:], mode="trilinear")


def _dilate(layer: nn.Sequential, dilation: int) -> None:
    """Turns the stride of a layer of bottlenecks into dilation; the weights stay what they are."""
    block: Any
    for block in layer:
        block.conv2.stride = (1, 1, 1)
        block.conv2.dilation = block.conv2.padding = (dilation,) * 3
        if block.downsample is not None:
            block.downsample[0].stride = (1, 1, 1)
