"""Segmentation networks by name. To add one: write its file, add one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..config import suggest
from ..encoders.registry import create_encoder
from ..errors import ConfigError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class NetworkEntry:
    """One network that can be named.

    Attributes:
        build: ``(num_classes, image_size) -> module`` with an ``encoder`` attribute.
        parameters: Number of parameters for 6 classes at 128³ voxels.
        kind: Family of the network.
        source: Where it comes from.
    """

    build: Callable[[int, int], nn.Module]
    parameters: int
    kind: str
    source: str


def _conv_tiny(num_classes: int, image_size: int) -> nn.Module:
    from .conv_tiny import ConvTinySegmenter

    return ConvTinySegmenter(num_classes)


def _vit(name: str) -> Callable[[int, int], nn.Module]:
    def build(num_classes: int, image_size: int) -> nn.Module:
        from .vit import ViTSegmenter

        return ViTSegmenter(create_encoder(name, image_size=image_size), num_classes)  # type: ignore[arg-type]

    return build


def _unetr(name: str, feature_size: int, num_heads: int) -> Callable[[int, int], nn.Module]:
    def build(num_classes: int, image_size: int) -> nn.Module:
        from .unetr import UNETRSegmenter

        encoder = create_encoder(name, image_size=image_size)
        return UNETRSegmenter(encoder, num_classes, feature_size, num_heads)  # type: ignore[arg-type]

    return build


NETWORKS: dict[str, NetworkEntry] = {
    "conv_tiny": NetworkEntry(_conv_tiny, 2_531_414, "cnn", "ours"),
    "vit": NetworkEntry(_vit("vit"), 88_718_406, "transformer", "MONAI's ViT, our linear head"),
    "vit_tiny": NetworkEntry(_vit("vit_tiny"), 891_534, "transformer", "a small ViT, our linear head"),
    "unetr": NetworkEntry(_unetr("unetr", 16, 12), 93_011_238, "transformer", "MONAI 1.6, Hatamizadeh et al. 2022"),
    "unetr_tiny": NetworkEntry(_unetr("unetr_tiny", 8, 4), 2_486_710, "transformer", "MONAI 1.6, small"),
}


def check_name(name: str) -> None:
    """Checks that a network exists.

    Raises:
        ConfigError: It does not; the hint names the nearest one.
    """
    if name not in NETWORKS:
        raise ConfigError(f"no network called {name}", suggest(name, NETWORKS))


def create_network(name: str, num_classes: int, *, image_size: int = 128) -> nn.Module:
    """Builds a segmentation network.

    Args:
        name: A name of :data:`NETWORKS`; each is built on the encoder of the same name.
        num_classes: Classes with background.
        image_size: Edge of the input cube or crop in voxels.

    Returns:
        A module ``(b, 1, s, s, s) -> (b, num_classes, s, s, s)`` whose ``encoder`` can be pre-trained.

    Raises:
        ConfigError: No network has that name, or the size does not fit it.

    Example:
        >>> create_network("conv_tiny", 3).encoder.embed_dim
        128
    """
    check_name(name)
    return NETWORKS[name].build(num_classes, image_size)


def list_networks() -> list[dict[str, Any]]:
    """Returns a row for each network: name, parameters, tokens, kind, source."""
    return [
        {"name": name, "parameters": e.parameters, "tokens": None, "kind": e.kind, "source": e.source}
        for name, e in NETWORKS.items()
    ]
