"""The 3D encoder with PSAT on top: what pre-training trains and what localisation asks."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from ..encoders.encoder import token_positions
from ..encoders.registry import create_encoder
from ..encoders.weights import load_weights, weights_bytes
from ..workspace.files import read_json, write_bytes, write_json
from .query_transformer import PlaneSliceAwareTransformer, PSATSettings

ENCODER, PSAT, FACTS = "encoder.safetensors", "psat.safetensors", "encoder.json"


class AlignedEncoder(nn.Module):
    """Encodes volumes once and asks PSAT at K (plane, position) pairs of each.

    Args:
        encoder: Name of the encoder.
        image_size: Edge of the input crops or cubes in voxels.
        feature_width: Width of the projected 2D features.
        settings: Choices of PSAT.
    """

    def __init__(self, encoder: str, image_size: int, feature_width: int, settings: PSATSettings) -> None:
        super().__init__()
        self.encoder = create_encoder(encoder, image_size=image_size)
        self.psat = PlaneSliceAwareTransformer(int(self.encoder.embed_dim), feature_width, feature_width, settings)  # type: ignore[arg-type]
        self.facts = {
            "encoder": encoder,
            "image_size": image_size,
            "feature_width": feature_width,
            "psat": asdict(settings),
        }

    def forward(
        self,
        volumes: Float[Tensor, "b 1 x y z"],
        planes: Int[Tensor, "b k"],
        positions: Float[Tensor, "b k"],
    ) -> tuple[Float[Tensor, "b k e"], Float[Tensor, "b k e"]]:
        """Returns the vectors to compare with image and with text features.

        Args:
            volumes: Intensities in [0, 1].
            planes: 0 axial, 1 coronal, 2 sagittal.
            positions: Relative to the volume, 0..1.
        """
        encoded = self.encoder(volumes)
        centres = token_positions(encoded.grid, encoded.tokens.device)
        answers: tuple[Tensor, Tensor] = self.psat(encoded.tokens, centres, planes, positions)
        return answers


def save_aligned(folder: Path, model: AlignedEncoder, facts: dict[str, Any]) -> None:
    """Writes the weights of encoder and PSAT, and ``encoder.json`` with what built them and ``facts``."""
    write_bytes(folder / PSAT, weights_bytes(model.psat))
    write_bytes(folder / ENCODER, weights_bytes(model.encoder))
    write_json(folder / FACTS, {**model.facts, **facts})


def load_aligned(folder: Path) -> tuple[AlignedEncoder, dict[str, Any]]:
    """Loads encoder and PSAT of a finished run, with the facts of its ``encoder.json``.

    Raises:
        InputError: The weights are missing or damaged.
        WorkspaceError: ``encoder.json`` is missing.
    """
    facts = read_json(folder / FACTS)
    settings = PSATSettings(**facts["psat"])
    model = AlignedEncoder(facts["encoder"], facts["image_size"], facts["feature_width"], settings)
    load_weights(model.encoder, folder / ENCODER)
    load_weights(model.psat, folder / PSAT)
    return model, facts
