"""The 3D encoder with PSAT on top: what pre-training trains and what localisation asks."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from ..encoders.encoder import token_positions
from ..encoders.registry import create_encoder
from ..encoders.weights import load_weights, save_weights
from ..errors import ConfigError, InputError
from ..workspace.files import read_json, write_json
from .query_transformer import PlaneSliceAwareTransformer
from .settings import PSATSettings

ENCODER, PSAT, FACTS = "encoder.safetensors", "psat.safetensors", "encoder.json"


class AlignedEncoder(nn.Module):
    """Encodes volumes once and asks PSAT at K (plane, position) pairs of each.

    Args:
        encoder: Name of the encoder, or a module of your own that follows the protocol in ``encoders/encoder.py``.
        image_size: Edge of the input crops or cubes in voxels.
        feature_width: Width of the projected 2D features.
        settings: Choices of PSAT.

    Raises:
        ConfigError: No encoder has that name, or the module does not say the width of its tokens.
    """

    def __init__(self, encoder: str | nn.Module, image_size: int, feature_width: int, settings: PSATSettings) -> None:
        super().__init__()
        self.encoder = create_encoder(encoder, image_size=image_size) if isinstance(encoder, str) else encoder
        width = getattr(self.encoder, "embed_dim", None)
        if not isinstance(width, int):
            raise ConfigError(
                f"{type(encoder).__name__} has embed_dim = {width!r}",
                "an encoder says the width of its tokens there; see encoders/encoder.py",
            )
        self.psat = PlaneSliceAwareTransformer(width, feature_width, feature_width, settings)
        self.facts = {
            "encoder": encoder if isinstance(encoder, str) else class_name(encoder),
            "image_size": image_size,
            "feature_width": feature_width,
            "psat": asdict(settings),
        }
        if not isinstance(encoder, str):
            self.facts["own_module"] = True

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


def class_name(module: nn.Module) -> str:
    """Returns a module's class as it is told in ``encoder.json``."""
    return f"{type(module).__module__}.{type(module).__qualname__}"


def save_aligned(folder: Path, model: AlignedEncoder, facts: dict[str, Any]) -> None:
    """Writes the weights of encoder and PSAT, and ``encoder.json`` with what built them and ``facts``.

    The encoder's file holds the same facts.
    """
    told = {**model.facts, **facts}
    save_weights(folder / PSAT, model.psat)
    save_weights(folder / ENCODER, model.encoder, told)
    write_json(folder / FACTS, told)


def load_aligned(folder: Path, encoder: nn.Module | None = None) -> tuple[AlignedEncoder, dict[str, Any]]:
    """Loads encoder and PSAT of a finished run, with the facts of its ``encoder.json``.

    Choices of PSAT that an older file does not name take their defaults, which are what it was made with.

    Args:
        folder: Of the run.
        encoder: A module like the one that was trained, where it was no encoder of the library; it gets the weights.

    Raises:
        ConfigError: A module of the user's own was trained and none is given.
        InputError: The weights are missing, damaged or of another network, or a choice of PSAT is unknown here.
        WorkspaceError: ``encoder.json`` is missing.
    """
    facts = read_json(folder / FACTS)
    if encoder is None and facts.get("own_module"):
        raise ConfigError(
            f"{folder} was trained with a module of your own, {facts['encoder']}",
            "build it again and give it: load_aligned(folder, encoder=module)",
        )
    if unknown := sorted(set(facts["psat"]) - {field.name for field in fields(PSATSettings)}):
        raise InputError(
            f"{folder / FACTS} names a choice of PSAT that is unknown here: {unknown[0]}",
            "use the version of med3dinsight that wrote it, or a newer one",
        )
    settings = PSATSettings(**facts["psat"])
    chosen = facts["encoder"] if encoder is None else encoder
    model = AlignedEncoder(chosen, facts["image_size"], facts["feature_width"], settings)
    load_weights(model.encoder, folder / ENCODER)
    load_weights(model.psat, folder / PSAT)
    return model, facts
