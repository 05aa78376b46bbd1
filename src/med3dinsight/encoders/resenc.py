"""``resenc_l``: the residual encoder of nnU-Net's large preset, from dynamic-network-architectures.

Isensee et al. 2024, "nnU-Net Revisited". The package is an extra: its versions from 0.4.1 on bring timm, and with it
torchvision, so the extra takes the last one before that holds this network; any later one that is there works as well.
The names of the parts are the package's, so that nnU-Net's and nnssl's files load key by key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ConfigError
from .encoder import EncoderOutput
from .strides import check_strides

if TYPE_CHECKING:
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

#: Channels and residual blocks of the stages of nnU-Net's ``ResEncL``, and of a small one.
LARGE = ((32, 64, 128, 256, 320, 320), (1, 3, 4, 6, 6, 6))
TINY = ((16, 32, 64, 128), (1, 1, 2, 2))

Stages = tuple[tuple[int, ...], tuple[int, ...]]


def build_resenc(stages: Stages, num_classes: int, image_size: int, in_channels: int) -> ResidualEncoderUNet:
    """Builds the package's network with nnU-Net's settings and initial weights.

    Args:
        stages: Channels and blocks of the stages; each but the first halves the size.
        num_classes: Channels of the output.
        image_size: Edge of the cubes it is meant for, only checked: any volume of multiples of the stride is taken.
        in_channels: Channels of the input.

    Raises:
        ConfigError: ``image_size`` does not fit, or the package is not installed.
    """
    check_strides((image_size,) * 3, 2 ** (len(stages[0]) - 1))
    try:
        from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet
    except ImportError as error:
        raise ConfigError(
            f"the residual encoders need the package dynamic-network-architectures: {error}",
            "pip install 'med3dinsight[nnunet]'",
        ) from None
    widths, blocks = stages
    settings: dict[str, Any] = {
        "conv_bias": True,
        "norm_op": nn.InstanceNorm3d,
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"inplace": True},
    }
    net = ResidualEncoderUNet(
        in_channels,
        n_stages=len(widths),
        features_per_stage=widths,
        conv_op=nn.Conv3d,
        kernel_sizes=3,
        strides=(1, *[2] * (len(widths) - 1)),
        n_blocks_per_stage=blocks,
        num_classes=num_classes,
        n_conv_per_stage_decoder=1,
        **settings,
    )
    # nnU-Net's start: He's weights, and the last norm of every residual branch at zero.
    net.apply(net.initialize)
    return net


class ResidualEncoder(nn.Module):
    """Stem and stages of a residual U-Net; the tokens are the voxels of the last map.

    Args:
        net: The package's network, whose encoder this takes over.
    """

    def __init__(self, net: ResidualEncoderUNet) -> None:
        super().__init__()
        self.stem, self.stages = net.encoder.stem, net.encoder.stages
        self.widths = tuple(net.encoder.output_channels)
        self.embed_dim = self.widths[-1]
        self.stride = 2 ** (len(self.widths) - 1)

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> EncoderOutput:
        """Encodes volumes; the pyramid runs from full size to the last map.

        Raises:
            ConfigError: The volumes do not fit the stride.
        """
        check_strides((volume.shape[2], volume.shape[3], volume.shape[4]), self.stride)
        features, pyramid = self.stem(volume), []
        for stage in self.stages:
            features = stage(features)
            pyramid.append(features)
        grid = (features.shape[2], features.shape[3], features.shape[4])
        return EncoderOutput(features.flatten(2).transpose(1, 2), grid, tuple(pyramid))
