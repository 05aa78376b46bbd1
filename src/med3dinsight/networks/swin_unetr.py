"""``swin_unetr``: MONAI's SwinUNETR with our encoder in it; the decoder is made of MONAI's parts.

Hatamizadeh et al. 2022, Swin UNETR. The state dict is MONAI's with ``swinViT.`` called ``encoder.``, and the rest
under ``decoder.``.
"""

from __future__ import annotations

from jaxtyping import Float
from monai.networks.blocks import UnetOutBlock, UnetrBasicBlock, UnetrUpBlock
from torch import Tensor, nn

from ..encoders.swin import SwinEncoder
from .input_sizes import InputSizes


class SwinUNETRDecoder(nn.Module):
    """A U-Net's right side with a residual block in each skip.

    Args:
        in_channels: Channels of the input.
        num_classes: Classes with background.
        width: Channels of the encoder's first stage.
    """

    def __init__(self, in_channels: int, num_classes: int, width: int) -> None:
        super().__init__()

        def skip(channels: int, outputs: int) -> UnetrBasicBlock:
            return UnetrBasicBlock(3, channels, outputs, kernel_size=3, stride=1, norm_name="instance", res_block=True)

        def up(channels: int, outputs: int) -> UnetrUpBlock:
            return UnetrUpBlock(
                3, channels, outputs, kernel_size=3, upsample_kernel_size=2, norm_name="instance", res_block=True
            )

        # Names and their gaps are MONAI's.
        self.encoder1 = skip(in_channels, width)
        self.encoder2 = skip(width, width)
        self.encoder3 = skip(2 * width, 2 * width)
        self.encoder4 = skip(4 * width, 4 * width)
        self.encoder10 = skip(16 * width, 16 * width)
        self.decoder5 = up(16 * width, 8 * width)
        self.decoder4 = up(8 * width, 4 * width)
        self.decoder3 = up(4 * width, 2 * width)
        self.decoder2 = up(2 * width, width)
        self.decoder1 = up(width, width)
        self.out = UnetOutBlock(3, width, num_classes)

    def forward(
        self, volume: Float[Tensor, "b i x y z"], pyramid: tuple[Float[Tensor, "b _ _ _ _"], ...]
    ) -> Float[Tensor, "b k x y z"]:
        """Returns class scores at the input's size from the encoder's five maps."""
        half, quarter, eighth, sixteenth, deepest = pyramid
        features = self.decoder5(self.encoder10(deepest), sixteenth)
        features = self.decoder4(features, self.encoder4(eighth))
        features = self.decoder3(features, self.encoder3(quarter))
        features = self.decoder2(features, self.encoder2(half))
        return self.out(self.decoder1(features, self.encoder1(volume)))


class SwinUNETRSegmenter(nn.Module):
    """SwinUNETR with a pluggable Swin transformer of four stages and patches of 2 voxels.

    Args:
        encoder: The Swin transformer.
        num_classes: Classes with background.
        in_channels: Channels of the input.
    """

    #: It halves the size five times, and norms the deepest map over its voxels.
    sizes = InputSizes(lambda edge: edge // 32, multiple=32, instance_norm=True)

    def __init__(self, encoder: SwinEncoder, num_classes: int, in_channels: int = 1) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = SwinUNETRDecoder(in_channels, num_classes, encoder.widths[0])

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b k x y z"]:
        """Returns class scores at the input's size.

        Raises:
            ConfigError: An edge is no multiple of 32 voxels, or the deepest map would be one voxel.
        """
        self.sizes.check(volume, self.training)
        return self.decoder(volume, self.encoder(volume).pyramid)
