"""``resnet50_3d`` and ``medicalnet``: MONAI's 3D ResNet and a linear layer, and the backbone of ``med3d``.

The two differ in the bias of the shortcut convolutions. MedicalNet (Chen et al. 2019, arXiv 1904.00625) has none, so
that all 318 keys of its published files, without their ``module.``, are keys of ``encoder`` here.
"""

from __future__ import annotations

from jaxtyping import Float
from monai.networks.nets import ResNet
from torch import Tensor, nn

from .input_sizes import InputSizes

#: Blocks and bottleneck widths of the four layers: those of ResNet-50, and of a small one.
RESNET50 = ((3, 4, 6, 3), (64, 128, 256, 512))
TINY = ((1, 1, 1, 1), (8, 16, 32, 64))

Layers = tuple[tuple[int, ...], tuple[int, ...]]


def build_resnet(
    layers: Layers, in_channels: int, *, shortcut_bias: bool, spatial_dims: int = 3, stem_stride: int = 2
) -> ResNet:
    """Builds MONAI's bottleneck ResNet without its classifier; its keys are those of torchvision's in 2D.

    Args:
        layers: Blocks and bottleneck widths of the four layers; maps are four times as wide.
        in_channels: Channels of the input.
        shortcut_bias: Whether the convolutions of the shortcuts have a bias.
        spatial_dims: 2 for slices, 3 for volumes.
        stem_stride: Stride of the first convolution.
    """
    blocks, widths = layers
    return ResNet(
        "bottleneck",
        list(blocks),
        list(widths),
        spatial_dims=spatial_dims,
        n_input_channels=in_channels,
        conv1_t_stride=stem_stride,
        feed_forward=False,
        bias_downsample=shortcut_bias,
    )


class ResNetClassifier(nn.Module):
    """Classifies whole volumes of at least 1 voxel.

    Every layer rounds its size up, and the mean over space takes any map. In training batch norm needs more than one
    value a channel: a batch of one volume of at most 32 voxels an edge leaves one, and is refused.

    Args:
        layers: Blocks and bottleneck widths of the four layers.
        num_classes: Classes.
        in_channels: Channels of the input.
        shortcut_bias: Whether the convolutions of the shortcuts have a bias; MedicalNet's have none.
    """

    sizes = InputSizes(lambda edge: -(-edge // 32))

    def __init__(self, layers: Layers, num_classes: int, in_channels: int = 1, *, shortcut_bias: bool = True) -> None:
        super().__init__()
        self.encoder = build_resnet(layers, in_channels, shortcut_bias=shortcut_bias)
        self.classify = nn.Linear(4 * layers[1][-1], num_classes)

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b k"]:
        """Returns a score for each class (no softmax).

        Raises:
            ConfigError: One volume in training leaves one value to normalise.
        """
        self.sizes.check(volume, self.training)
        scores: Tensor = self.classify(self.encoder(volume))
        return scores
