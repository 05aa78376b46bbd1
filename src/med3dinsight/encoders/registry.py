"""3D encoders by name. To add one: write its file, add one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import suggest
from ..errors import ConfigError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class EncoderEntry:
    """One encoder that can be named.

    Attributes:
        build: ``image_size -> module``; imports torch when it is called, not before.
        parameters: Number of parameters, built for 128³ voxels.
        tokens: Shape of the tokens at 128³ as text.
        kind: Family of the network.
        source: Where it comes from.
    """

    build: Callable[[int], nn.Module]
    parameters: int
    tokens: str
    kind: str
    source: str


def _conv_tiny(image_size: int) -> nn.Module:
    from .conv_tiny import ConvTiny

    return ConvTiny()


def _vit(image_size: int) -> nn.Module:
    from .vit import ViTEncoder

    return ViTEncoder(image_size)


def _vit_tiny(image_size: int) -> nn.Module:
    from .vit import ViTEncoder

    return ViTEncoder(image_size, patch_size=8, hidden_size=96, mlp_dim=384, num_layers=4, num_heads=4)


def _unetr_tiny(image_size: int) -> nn.Module:
    from .vit import ViTEncoder

    return ViTEncoder(image_size, hidden_size=96, mlp_dim=384, num_heads=4)


_MONAI = "MONAI 1.6, Dosovitskiy et al. 2021 in 3D"

ENCODERS: dict[str, EncoderEntry] = {
    "conv_tiny": EncoderEntry(_conv_tiny, 2_258_128, "4096 x 128", "cnn", "ours"),
    "vit": EncoderEntry(_vit, 88_568_064, "512 x 768", "transformer", _MONAI),
    "vit_tiny": EncoderEntry(_vit_tiny, 888_864, "4096 x 96", "transformer", _MONAI + ", small"),
    "unetr": EncoderEntry(_vit, 88_568_064, "512 x 768", "transformer", "MONAI 1.6, the ViT of UNETR"),
    "unetr_tiny": EncoderEntry(
        _unetr_tiny, 1_781_280, "512 x 96", "transformer", "MONAI 1.6, the ViT of a small UNETR"
    ),
}


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


def create_encoder(name: str, *, image_size: int = 128, pretrained: str | Path | None = None) -> nn.Module:
    """Builds an encoder.

    Args:
        name: A name of :data:`ENCODERS`.
        image_size: Edge of the input cube in voxels.
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
    encoder = ENCODERS[name].build(image_size)
    if pretrained is not None:
        from .weights import load_weights

        load_weights(encoder, Path(pretrained))
    return encoder
