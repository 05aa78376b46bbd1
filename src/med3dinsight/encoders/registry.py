"""3D encoders by name. To add one: write its file, add one line to a family's dict in ``catalog``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import suggest
from ..errors import ConfigError
from .catalog import ENCODERS as ENCODERS

if TYPE_CHECKING:
    from torch import nn


def list_encoders() -> list[dict[str, Any]]:
    """Returns a row for each encoder: name, parameters, tokens, kind, source."""
    return [
        {"name": name, "parameters": e.parameters, "tokens": e.tokens, "kind": e.kind, "source": e.source}
        for name, e in ENCODERS.items()
    ]


def check_name(name: str) -> None:
    """Checks that an encoder exists.

    Raises:
        ConfigError: It does not; the hint names the nearest one.
    """
    if name not in ENCODERS:
        raise ConfigError(f"no encoder called {name}", suggest(name, ENCODERS))


def create_encoder(
    name: str, *, image_size: int = 128, in_channels: int = 1, pretrained: str | Path | None = None
) -> nn.Module:
    """Builds an encoder.

    Args:
        name: A name of :data:`ENCODERS`.
        image_size: Edge in voxels of the input cubes it is meant for; position tables are made for it.
        in_channels: Channels of the input.
        pretrained: A ``.safetensors`` file written by pre-training of the same encoder; every key must fit.

    Returns:
        A module with ``embed_dim`` whose call gives an ``EncoderOutput``.

    Raises:
        ConfigError: No encoder has that name, or the size does not fit it.
        InputError: The weights are of another encoder.

    Example:
        >>> create_encoder("conv_tiny").embed_dim
        128
    """
    check_name(name)
    encoder = ENCODERS[name].build(image_size, in_channels)
    if pretrained is not None:
        from .weights import load_weights

        load_weights(encoder, Path(pretrained))
    return encoder
