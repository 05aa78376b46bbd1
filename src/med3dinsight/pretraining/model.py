"""The 3D encoder with PSAT on top: what is trained; the encoder alone is what is kept for fine-tuning."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor, nn

from ..alignment import PlaneSliceAwareTransformer, PSATSettings
from ..encoders.encoder import token_positions
from ..encoders.registry import create_encoder
from .methods import Method


class PretrainingModel(nn.Module):
    """Encodes volumes once and asks PSAT at K (plane, position) pairs of each.

    Args:
        encoder: Name of the encoder.
        image_size: Edge of the input crops or cubes in voxels.
        image_width: Width of the projected image features.
        text_width: Width of the projected text features.
        method: Sizes and choices of PSAT.
    """

    def __init__(self, encoder: str, image_size: int, image_width: int, text_width: int, method: Method) -> None:
        super().__init__()
        self.encoder = create_encoder(encoder, image_size=image_size)
        self.psat = PlaneSliceAwareTransformer(
            int(self.encoder.embed_dim), image_width, text_width, psat_settings(method)
        )

    def forward(
        self,
        volumes: Float[Tensor, "b 1 x y z"],
        planes: Int[Tensor, "b k"],
        positions: Float[Tensor, "b k"],
    ) -> tuple[Float[Tensor, "b k e"], Float[Tensor, "b k f"]]:
        """Returns the vectors to compare with image and with text features."""
        encoded = self.encoder(volumes)
        centres = token_positions(encoded.grid, encoded.tokens.device)
        answers: tuple[Tensor, Tensor] = self.psat(encoded.tokens, centres, planes, positions)
        return answers


def psat_settings(method: Method) -> PSATSettings:
    """Turns a method's choices into those of PSAT."""
    return PSATSettings(
        width=method.psat_width,
        num_queries=method.num_queries,
        num_layers=method.psat_layers,
        num_heads=method.num_heads,
        ffn_width=method.ffn_width,
        position_init="normal" if method.position_init == "normal" else "zero",
        pooling="first" if method.pooling == "first" else "mean",
        distance_bias=method.distance_bias,
    )
