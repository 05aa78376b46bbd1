"""Rebuilding the input from the encoder's features by a light decoder: the visual half of the extended method."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..encoders.encoder import EncoderOutput
from ..encoders.pyramid_decoder import PyramidDecoder
from .config import PretrainConfig
from .masking import grow


class Reconstruction(nn.Module):
    r"""Mean squared error of the rebuilt volume.

    "plain" rebuilds the unmasked input (the authors' code of arXiv 2509.09064); "masked" empties random blocks and
    counts their voxels only: :math:`\frac{1}{|M|} \sum_{i \in M} (x_i - \hat x_i)^2`. The decoder is ours: light, and
    fit for any encoder; the authors' code has nnFormer's decoder with one transposed convolution on top.

    Args:
        config: Resolved settings.
        encoder: The encoder; tells the widths of its features.
    """

    def __init__(self, config: PretrainConfig, encoder: nn.Module) -> None:
        super().__init__()
        self.masked = config.reconstruction == "masked"
        self.block = config.mask_block or 8
        self.decoder = PyramidDecoder(encoder.embed_dim, encoder.widths, 1)  # type: ignore[arg-type]

    def forward(
        self,
        encoder: nn.Module,
        encoded: EncoderOutput,
        volumes: Float[Tensor, "b 1 x y z"],
        masks: Bool[Tensor, "b p q r"] | None,
    ) -> Float[Tensor, " b"]:
        """Returns the error of each volume.

        Args:
            encoder: Encodes the masked volumes, in a pass of their own.
            encoded: The unmasked volumes' features, of which "plain" rebuilds them.
            volumes: Intensities in [0, 1].
            masks: Masked blocks; None for "plain".
        """
        if masks is None:
            return squared_error(self.decoder(encoded, volumes.shape[2:]), volumes, None)
        hidden = grow(masks, self.block, volumes.shape[2:])
        encoded = encoder(volumes.masked_fill(hidden, 0.0))
        return squared_error(self.decoder(encoded, volumes.shape[2:]), volumes, hidden)


def squared_error(
    rebuilt: Float[Tensor, "b 1 x y z"], volumes: Float[Tensor, "b 1 x y z"], where: Bool[Tensor, "b 1 x y z"] | None
) -> Float[Tensor, " b"]:
    """Mean squared error of each volume, over the voxels of ``where`` if it is given."""
    error = (rebuilt.float() - volumes.float()).square().flatten(1)
    if where is None:
        return error.mean(1)
    counted = where.flatten(1)
    return (error * counted).sum(1) / counted.sum(1)
