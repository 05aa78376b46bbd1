"""``resenc_l`` for segmentation: nnU-Net's residual encoder U-Net, whose encoder can be pre-trained."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from ..encoders.resenc import ResidualEncoder, Stages, build_resenc


class ResidualEncoderSegmenter(nn.Module):
    """Our encoder and the decoder of dynamic-network-architectures, without deep supervision.

    Args:
        stages: Channels and blocks of the encoder's stages.
        num_classes: Classes with background.
        image_size: Edge of the cubes or crops; a multiple of the encoder's stride.
        in_channels: Channels of the input.

    Raises:
        ConfigError: ``image_size`` does not fit, or the package is not installed.
    """

    def __init__(self, stages: Stages, num_classes: int, image_size: int, in_channels: int = 1) -> None:
        super().__init__()
        net = build_resenc(stages, num_classes, image_size, in_channels)
        self.encoder = ResidualEncoder(net)
        self.decoder = net.decoder
        # The package's decoder holds the encoder a second time, and heads of deep supervision that get no gradient.
        del self.decoder.encoder
        for number in range(len(self.decoder.seg_layers) - 1):
            self.decoder.seg_layers[number] = nn.Identity()

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b c x y z"]:
        """Returns class scores at the input's size."""
        scores: Tensor = self.decoder(list(self.encoder(volume).pyramid))
        return scores
