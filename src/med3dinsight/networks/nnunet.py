"""``nnunet``: nnU-Net's plain 3D U-Net, from dynamic-network-architectures.

Isensee et al. 2021, "nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation"; here
with the six stages, 32 to 320 channels, that it plans for isotropic crops of 128³. The package is an extra.
"""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from ..errors import ConfigError
from .input_sizes import InputSizes

#: Channels of the stages; each but the first halves the size.
FULL = (32, 64, 128, 256, 320, 320)
TINY = (8, 16, 32, 64)


class NNUNet(nn.Module):
    """Two convolutions a stage down and up again, instance norm, and scores from every stage of the decoder.

    ``deep_supervision`` is False. Set to True, the network in training returns a list of scores, the full size first
    and then each coarser stage but the last map, as nnU-Net's recipe learns from; the coarser heads get no gradient
    otherwise. In evaluation the scores at full size are returned whatever it says.

    Keys of a checkpoint of nnU-Net are the keys here, but for ``decoder.encoder.*``, where it holds the encoder a
    second time.

    Args:
        widths: Channels of the stages.
        num_classes: Classes with background.
        image_size: Edge of the cubes or crops in voxels.
        in_channels: Channels of the input.
        between: What the last map goes through before the decoder; keeps its shape.

    Raises:
        ConfigError: ``image_size`` does not fit the stages, or the package is not installed.
    """

    def __init__(
        self,
        widths: tuple[int, ...],
        num_classes: int,
        image_size: int,
        in_channels: int = 1,
        between: nn.Module | None = None,
    ) -> None:
        super().__init__()
        stride = 2 ** (len(widths) - 1)
        self.sizes = InputSizes(lambda edge: edge // stride, multiple=stride, instance_norm=True)
        self.sizes.check_cube(image_size)
        self.deep_supervision = False
        net = _plain_unet(widths, num_classes, in_channels)
        self.encoder, self.decoder = net.encoder, net.decoder
        del self.decoder.encoder  # the same module a second time, which the decoder does not call
        self.between = nn.Identity() if between is None else between

    def forward(
        self, volume: Float[Tensor, "b i x y z"]
    ) -> Float[Tensor, "b k x y z"] | list[Float[Tensor, "b k _x _y _z"]]:
        """Returns class scores at the input's size; in training with deep supervision a list, fine to coarse.

        Raises:
            ConfigError: The volumes are no multiples of the stride, or leave one voxel on the last map.
        """
        self.sizes.check(volume, self.training)
        skips = self.encoder(volume)
        skips[-1] = self.between(skips[-1])
        self.decoder.deep_supervision = self.deep_supervision and self.training
        scores: Tensor | list[Tensor] = self.decoder(skips)
        return scores


def _plain_unet(widths: tuple[int, ...], num_classes: int, in_channels: int) -> Any:
    """Builds the package's network with the settings of nnU-Net's plans, and He's initial weights."""
    try:
        from dynamic_network_architectures.architectures.unet import PlainConvUNet
    except ImportError as error:
        raise ConfigError(
            f"nnU-Net's network needs the package dynamic-network-architectures: {error}",
            "pip install 'med3dinsight[nnunet]'",
        ) from None
    net = PlainConvUNet(
        in_channels,
        n_stages=len(widths),
        features_per_stage=widths,
        conv_op=nn.Conv3d,
        kernel_sizes=3,
        strides=(1, *[2] * (len(widths) - 1)),
        n_conv_per_stage=2,
        num_classes=num_classes,
        n_conv_per_stage_decoder=2,
        conv_bias=True,
        norm_op=nn.InstanceNorm3d,
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"inplace": True},
    )
    net.apply(net.initialize)
    return net
