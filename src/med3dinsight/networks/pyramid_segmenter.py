"""Segmentation on any encoder: the light pyramid decoder, for encoders without a decoder of their own."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from ..encoders.encoder import Encoder
from ..encoders.pyramid_decoder import PyramidDecoder


class PyramidSegmenter(nn.Module):
    """Scores every voxel.

    Args:
        encoder: Any encoder.
        num_classes: Classes with background.
    """

    def __init__(self, encoder: Encoder, num_classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = PyramidDecoder(encoder.embed_dim, encoder.widths, num_classes)

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b k x y z"]:
        """Returns class scores at the input's size."""
        return self.decoder(self.encoder(volume), (volume.shape[2], volume.shape[3], volume.shape[4]))
