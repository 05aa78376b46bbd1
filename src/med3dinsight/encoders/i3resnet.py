"""``i3resnet152``: a 2D ResNet-152 inflated to 3D, the layout of the published CT encoders of Merlin and Astra.

Carreira & Zisserman 2017 ("inflated 3D"), He et al. 2016, as used by Blankemeier et al. 2024, "Merlin: A Vision
Language Foundation Model for 3D Computed Tomography". The names of the layers are the published ones. The published
weights (:mod:`med3dinsight.encoders.published_weights`) saw CT: RAS+ as ours, [-1000, 1000] HU as [0, 1] (this
package's default window) at 1.5 x 1.5 x 3 mm, 224 x 224 x 160 voxels; for chests Astra takes [-1000, 200] HU and
resizes the body to that size, which ``prepare --set prepare.ct_window=[-1000,200]`` comes near.
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ConfigError
from .any_size import check_edges
from .encoder import EncoderOutput

#: Blocks of ResNet-152's four layers.
DEPTHS = (3, 8, 36, 3)
#: How much wider a block's output is than its middle.
EXPANSION = 4
#: Smallest edge in voxels: below it pooling leaves nothing to look at.
SMALLEST = 16


class Bottleneck(nn.Module):
    """1 x 1 x 1, 3 x 3 x 3 (which holds the stride) and 1 x 1 x 1 convolutions around a shortcut.

    Args:
        inputs: Channels of the input.
        middle: Channels in between; the output has four times as many.
        stride: Stride along all axes.
        shortcut: Whether the shortcut is a convolution.
    """

    def __init__(self, inputs: int, middle: int, stride: int, shortcut: bool) -> None:
        super().__init__()
        outputs = EXPANSION * middle
        self.conv1 = nn.Conv3d(inputs, middle, 1, bias=False)
        self.bn1 = nn.BatchNorm3d(middle)
        self.conv2 = nn.Conv3d(middle, middle, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm3d(middle)
        self.conv3 = nn.Conv3d(middle, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm3d(outputs)
        self.downsample = (
            nn.Sequential(nn.Conv3d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm3d(outputs))
            if shortcut
            else nn.Identity()
        )

    def forward(self, features: Float[Tensor, "b i z x y"]) -> Float[Tensor, "b o u v w"]:
        """Returns features of the stride's size."""
        inner = F.relu(self.bn1(self.conv1(features)))
        inner = F.relu(self.bn2(self.conv2(inner)))
        return F.relu(self.bn3(self.conv3(inner)) + self.downsample(features))


class I3ResNet(nn.Module):
    """The encoder; any volume from 16 voxels an edge is taken.

    The network was trained with the slices first: the axes are turned on the way in and the maps on the way out, so
    that callers see x, y, z. It shrinks x and y 32 times and z 16 times. The published first layer takes three
    channels, a grey volume three times over; for one channel its weights are summed when it is called, which is the
    same for a third of the work.

    Args:
        depths: Blocks of the four layers.
        width: Channels of the first layer.
        in_channels: Channels of the input; one is copied to the three of the published layout.
    """

    def __init__(self, depths: tuple[int, int, int, int] = DEPTHS, width: int = 64, in_channels: int = 1) -> None:
        super().__init__()
        self.in_channels = in_channels
        channels = 3 if in_channels == 1 else in_channels
        self.conv1 = nn.Conv3d(channels, width, (3, 7, 7), stride=(1, 2, 2), padding=(1, 3, 3), bias=False)
        self.bn1 = nn.BatchNorm3d(width)
        self.layer1 = _layer(width, width, depths[0], 1)
        self.layer2 = _layer(width * 4, width * 2, depths[1], 2)
        self.layer3 = _layer(width * 8, width * 4, depths[2], 2)
        self.layer4 = _layer(width * 16, width * 8, depths[3], 2)
        self.widths = tuple(EXPANSION * width * 2**level for level in range(4))
        self.embed_dim = self.widths[-1]
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if isinstance(module, Bottleneck):
                # Goyal et al. 2017; at one, fifty blocks in evaluation mode would swell what they see a million times.
                nn.init.zeros_(module.bn3.weight)

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> EncoderOutput:
        """Encodes volumes with intensities in [0, 1].

        Raises:
            ConfigError: An edge is shorter than 16 voxels, or one volume in training leaves one value to normalise.
        """
        x, y, z = volume.shape[2:]
        check_edges((x, y, z), SMALLEST)
        if self.training and volume.shape[0] == 1 and max(x, y, 2 * z) <= 32:
            raise ConfigError(
                f"one volume of {(x, y, z)} voxels a step leaves nothing to normalise in training",
                "use a batch of at least two volumes, or larger ones",
            )
        weight = self.conv1.weight.sum(1, keepdim=True) if self.in_channels == 1 else self.conv1.weight
        turned = volume.permute(0, 1, 4, 2, 3)
        features = F.conv3d(turned, weight, stride=self.conv1.stride, padding=self.conv1.padding)
        features = F.max_pool3d(F.relu(self.bn1(features)), 3, stride=2, padding=1)
        pyramid = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            features = layer(features)
            pyramid.append(features.permute(0, 1, 3, 4, 2))
        last = pyramid[-1]
        grid = (last.shape[2], last.shape[3], last.shape[4])
        return EncoderOutput(last.flatten(2).transpose(1, 2), grid, tuple(pyramid))


def _layer(inputs: int, middle: int, depth: int, stride: int) -> nn.Sequential:
    first = Bottleneck(inputs, middle, stride, shortcut=True)
    return nn.Sequential(first, *(Bottleneck(EXPANSION * middle, middle, 1, False) for _ in range(depth - 1)))
