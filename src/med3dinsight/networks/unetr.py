"""``unetr``: MONAI's UNETR around our ViT encoder, so that pre-trained weights are simply the encoder's.

The encoder's pyramid is what the decoder reads: blocks 4, 7, 10 as MONAI taps them, and the normalised tokens. The
paper (Hatamizadeh et al. 2022) says 3, 6, 9. The decoder is convolutional, so any multiple of 16 voxels works.
"""

from __future__ import annotations

from jaxtyping import Float
from monai.networks.nets import UNETR
from torch import Tensor, nn

from ..encoders.vit import ViTEncoder


class UNETRSegmenter(nn.Module):
    """UNETR with a pluggable ViT.

    Args:
        encoder: The ViT: 12 blocks, patches of 16 voxels, four taps.
        num_classes: Classes with background.
        feature_size: Channels of the finest decoder stage.
        num_heads: Heads of the ViT, which MONAI's constructor asks for.
        in_channels: Channels of the input.
    """

    def __init__(
        self, encoder: ViTEncoder, num_classes: int, feature_size: int, num_heads: int, in_channels: int = 1
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = UNETR(
            in_channels,
            num_classes,
            encoder.image_size,
            feature_size=feature_size,
            hidden_size=encoder.embed_dim,
            mlp_dim=4 * encoder.embed_dim,
            num_heads=num_heads,
        )
        del self.decoder.vit

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b c x y z"]:
        """Returns class scores at the input's size; edges are multiples of 16."""
        net = self.decoder
        early, middle, late, last = self.encoder(volume).pyramid
        features = net.decoder5(last, net.encoder4(late))
        features = net.decoder4(features, net.encoder3(middle))
        features = net.decoder3(features, net.encoder2(early))
        scores: Tensor = net.out(net.decoder2(features, net.encoder1(volume)))
        return scores
