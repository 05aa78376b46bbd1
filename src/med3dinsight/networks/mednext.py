"""``mednext_s/b/m/l`` for segmentation: MONAI's MedNeXt, whose encoder half can be pre-trained."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from ..encoders.mednext import MedNeXtEncoder, Variant, build_mednext


class MedNeXtSegmenter(nn.Module):
    """Our encoder and MONAI's decoder, which adds the skips to what comes from below.

    Args:
        variant: "S", "B", "M", "L" or "tiny".
        num_classes: Classes with background.
        image_size: Edge of the cubes or crops; a multiple of the encoder's stride.
        in_channels: Channels of the input.

    Raises:
        ConfigError: ``image_size`` does not fit.
    """

    def __init__(self, variant: Variant, num_classes: int, image_size: int, in_channels: int = 1) -> None:
        super().__init__()
        net = build_mednext(variant, num_classes, image_size, in_channels)
        self.encoder = MedNeXtEncoder(net)
        self.up_blocks, self.dec_stages, self.out_0 = net.up_blocks, net.dec_stages, net.out_0

    def forward(self, volume: Float[Tensor, "b i x y z"]) -> Float[Tensor, "b c x y z"]:
        """Returns class scores at the input's size."""
        *skips, features = self.encoder(volume).pyramid
        for up, stage, skip in zip(self.up_blocks, self.dec_stages, reversed(skips), strict=True):
            features = stage(up(features) + skip)
        scores: Tensor = self.out_0(features)
        return scores
