"""``mednext_s/b/m/l``: the encoder half of MONAI's MedNeXt, a U-Net of depthwise ConvNeXt blocks.

Roy et al. 2023, "MedNeXt: Transformer-driven Scaling of ConvNets for Medical Image Segmentation", with kernels of 3.
The names of the parts are MONAI's, so that its state dicts load key by key.
"""

from __future__ import annotations

from typing import Any, Literal

from jaxtyping import Float
from monai.networks.nets.mednext import MedNeXt, create_mednext
from torch import Tensor, nn

from .encoder import EncoderOutput
from .strides import check_strides

Variant = Literal["S", "B", "M", "L", "tiny"]

#: Of the small variant, for tests and machines without a GPU: three stages from 16 channels.
_TINY: dict[str, Any] = {"init_filters": 16, "blocks_down": (2, 2, 2), "blocks_bottleneck": 2, "blocks_up": (1, 1, 1)}


def build_mednext(variant: Variant, num_classes: int, image_size: int, in_channels: int) -> MedNeXt:
    """Builds MONAI's network with kernels of 3.

    Args:
        variant: "S", "B", "M", "L" as in the paper, or "tiny": ours.
        num_classes: Channels of the output.
        image_size: Edge of the cubes it is meant for, only checked: any volume of multiples of the stride is taken.
        in_channels: Channels of the input.

    Raises:
        ConfigError: ``image_size`` does not fit.
    """
    check_strides((image_size,) * 3, 8 if variant == "tiny" else 16)
    if variant == "tiny":
        return MedNeXt(
            in_channels=in_channels, out_channels=num_classes, kernel_size=3, use_residual_connection=True, **_TINY
        )
    return create_mednext(variant, in_channels=in_channels, out_channels=num_classes)


class MedNeXtEncoder(nn.Module):
    """Stem, stages and bottleneck of a MedNeXt; the tokens are the voxels of the bottleneck's map.

    Args:
        net: MONAI's network, whose encoder half this takes over.
    """

    def __init__(self, net: MedNeXt) -> None:
        super().__init__()
        self.stem, self.enc_stages, self.down_blocks = net.stem, net.enc_stages, net.down_blocks
        self.bottleneck = net.bottleneck
        first, stages = net.stem.out_channels, len(net.enc_stages)
        self.widths = tuple(first * 2**stage for stage in range(stages + 1))
        self.embed_dim = self.widths[-1]
        self.stride = 2**stages

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> EncoderOutput:
        """Encodes volumes; the pyramid runs from full size to the bottleneck.

        Raises:
            ConfigError: The volumes do not fit the stride.
        """
        check_strides((volume.shape[2], volume.shape[3], volume.shape[4]), self.stride)
        # Volumes whose channels lie innermost (with one channel torch calls them contiguous too) would be convolved
        # channels-last down to the last map, where oneDNN's bf16 gradient is wrong: see training/precision.py.
        volume = volume.flatten().view(volume.shape)
        features, pyramid = self.stem(volume), []
        for stage, down in zip(self.enc_stages, self.down_blocks, strict=True):
            features = stage(features)
            pyramid.append(features)
            features = down(features)
        features = self.bottleneck(features)
        grid = (features.shape[2], features.shape[3], features.shape[4])
        return EncoderOutput(features.flatten(2).transpose(1, 2), grid, (*pyramid, features))
