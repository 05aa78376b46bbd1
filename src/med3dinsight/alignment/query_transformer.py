"""The plane-slice-aware transformer (PSAT): what would the slice at (plane, position) look like?

Learnable queries attend to each other, then to the volume's tokens, then pass an MLP; the position
embedding of the slice asked for is added to the queries and to the tokens. One volume is encoded
once and may be asked at K positions.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ..errors import ConfigError
from .decoder_layer import DecoderLayer
from .position import PlaneSlicePositionEmbedding
from .settings import PSATSettings as PSATSettings


class PlaneSliceAwareTransformer(nn.Module):
    """Maps a volume's tokens and (plane, position) pairs to vectors in the towers' feature space.

    Med3DInsight (arXiv 2403.05141), section 2. Every choice is a setting, and ``alignment/presets.py`` has the paper's
    and the authors' ones. Departs from the paper by default in: positions are interpolated, the attention is biased by
    the distance to the plane, image and text features have a projection each. Under all settings K positions may be
    asked of one encoded volume, which is as K times one; queries start from N(0, 1 / width), no source says from what.

    Args:
        token_width: Width of the encoder's tokens.
        image_width: Width of the image features to match.
        text_width: Width of the text features to match.
        settings: See :class:`PSATSettings`.

    Raises:
        ConfigError: One shared projection is asked for, and image and text features differ in width.
    """

    def __init__(self, token_width: int, image_width: int, text_width: int, settings: PSATSettings) -> None:
        super().__init__()
        self.settings = settings
        if settings.project == "shared" and image_width != text_width:
            raise ConfigError(
                f"one shared projection cannot give image features of {image_width} and text features of {text_width}",
                'use project = "separate", or towers with one width',
            )
        linear = settings.module == "linear"
        width = token_width if linear else settings.width
        if not linear:
            projected = settings.input_projection == "always" or token_width != width
            self.input = nn.Linear(token_width, width) if projected else nn.Identity()
            self.input_norm = nn.LayerNorm(width) if settings.input_norm else nn.Identity()
            self.queries = nn.Parameter(torch.randn(settings.num_queries, width) * width**-0.5)
            if settings.module == "plane_slice":
                self.position = PlaneSlicePositionEmbedding(
                    width, settings.num_positions, settings.position_init, settings.positions
                )
            self.layers = nn.ModuleList(DecoderLayer(settings) for _ in range(settings.num_layers))
            self.output_norm = nn.LayerNorm(width) if settings.norm == "pre" else nn.Identity()
            if settings.pooling == "attention":
                # From zero: it starts as the mean.
                self.score = nn.Parameter(torch.zeros(width))
        if settings.project == "shared":
            self.to_both = nn.Linear(width, image_width)
        else:
            self.to_image = nn.Linear(width, image_width)
            self.to_text = nn.Linear(width, text_width)

    def forward(
        self,
        tokens: Float[Tensor, "b n t"],
        token_positions: Float[Tensor, "n 3"],
        planes: Int[Tensor, "b k"],
        positions: Float[Tensor, "b k"],
    ) -> tuple[Float[Tensor, "b k e"], Float[Tensor, "b k f"]]:
        """Asks volumes at K (plane, position) pairs each.

        Args:
            tokens: Encoder tokens.
            token_positions: Relative token centres along x, y, z, 0..1.
            planes: 0 axial, 1 coronal, 2 sagittal.
            positions: Relative slice positions along the plane's axis, 0..1.

        Returns:
            The vectors to compare with image features ``(b, k, e)`` and with text features ``(b, k, f)``,
            not normalised. They are one tensor under ``project="shared"``, and the same at all K positions under
            ``module="linear"`` and ``"queries"``.
        """
        if self.settings.module == "linear":
            volume = tokens.mean(1, keepdim=True)
        elif self.settings.module == "queries":
            blind = tokens.new_zeros(len(tokens), 1, tokens.shape[1])
            volume = self._decode(tokens, None, blind)
        else:
            along = token_positions[:, 2 - planes].permute(1, 2, 0)
            distances = (along - positions.unsqueeze(-1)).abs()
            volume = self._decode(tokens, self.position(planes, positions), distances)
        if self.settings.project == "shared":
            both = self.to_both(volume).expand(-1, planes.shape[1], -1)
            return both, both
        image, text = (side(volume).expand(-1, planes.shape[1], -1) for side in (self.to_image, self.to_text))
        return image, text

    def _decode(
        self,
        tokens: Float[Tensor, "b n t"],
        position: Float[Tensor, "b k c"] | None,
        distances: Float[Tensor, "b k n"],
    ) -> Float[Tensor, "b k c"]:
        b, k, _ = distances.shape
        memory = self.input_norm(self.input(tokens))
        queries = self.queries.expand(b, k, -1, -1)
        if position is not None and self.settings.position_at == "input":
            queries = queries + position.unsqueeze(2)
        for layer in self.layers:
            queries = layer(queries, memory, position, distances)
        return self._pool(self.output_norm(queries))

    def _pool(self, outputs: Float[Tensor, "b k q c"]) -> Float[Tensor, "b k c"]:
        if self.settings.pooling == "first":
            return outputs[:, :, 0]
        if self.settings.pooling == "attention":
            return ((outputs @ self.score).softmax(-1).unsqueeze(-1) * outputs).sum(2)
        return outputs.mean(2)
