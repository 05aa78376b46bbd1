"""``unetr``: MONAI's UNETR around our ViT encoder, so that pre-trained weights are simply the encoder's.

Taps blocks 4, 7 and 10 as MONAI does (index 3, 6, 9); the paper (Hatamizadeh et al. 2022) says 3, 6, 9.
"""

from __future__ import annotations

from jaxtyping import Float
from monai.networks.nets import UNETR
from torch import Tensor, nn

from ..encoders.vit import ViTEncoder


class UNETRSegmenter(nn.Module):
    """UNETR with a pluggable ViT.

    Args:
        encoder: The ViT: 12 blocks, patches of 16 voxels.
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
        """Returns class scores at the input's size, which must be the encoder's ``image_size``."""
        net = self.decoder
        tokens, hidden = self.encoder.vit(volume)
        deep = [net.proj_feat(state) for state in (hidden[3], hidden[6], hidden[9], tokens)]
        features = net.decoder5(deep[3], net.encoder4(deep[2]))
        features = net.decoder4(features, net.encoder3(deep[1]))
        features = net.decoder3(features, net.encoder2(deep[0]))
        scores: Tensor = net.out(net.decoder2(features, net.encoder1(volume)))
        return scores
