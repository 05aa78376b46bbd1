"""3D encoders by name. To add one: write its file, add one line to a family's dict in ``catalog``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import suggest
from ..errors import ConfigError
from .any_size import check_edges
from .catalog import ENCODERS as ENCODERS
from .catalog import EncoderEntry
from .plugins import find_plug_ins, list_plug_ins

if TYPE_CHECKING:
    from torch import nn


def list_encoders() -> list[dict[str, Any]]:
    """Returns a row for each encoder, plug-ins at the end: name, parameters, tokens, kind, source."""
    return [
        {"name": name, "parameters": e.parameters, "tokens": e.tokens, "kind": e.kind, "source": e.source}
        for name, e in (*ENCODERS.items(), *list_plug_ins())
    ]


def find_encoder(name: str) -> EncoderEntry:
    """Returns what the catalogue, or a plug-in, says about an encoder.

    Raises:
        ConfigError: There is none of that name; the hint names the nearest one.
    """
    if name in ENCODERS:
        return ENCODERS[name]
    plug_ins = find_plug_ins()
    if name in plug_ins:
        return plug_ins[name]
    raise ConfigError(f"no encoder called {name}", suggest(name, {**ENCODERS, **plug_ins}))


def check_name(name: str) -> None:
    """Checks that an encoder exists.

    Raises:
        ConfigError: It does not; the hint names the nearest one.
    """
    find_encoder(name)


def create_encoder(
    name: str | nn.Module, *, image_size: int = 128, in_channels: int = 1, pretrained: str | Path | None = None
) -> nn.Module:
    """Builds an encoder by name, or checks one that is built already.

    Args:
        name: A name of :data:`ENCODERS`, a plug-in's, or a module that follows the protocol in ``encoder.py``: it is
            tried on a small volume and returned as it is.
        image_size: Edge in voxels of the input cubes it is meant for; position tables are made for it.
            A module passed in has its own.
        in_channels: Channels of the input.
        pretrained: A file of weights, ours or of others (see :func:`med3dinsight.encoders.loading.load_pretrained`),
            or "published" for those that :data:`med3dinsight.encoders.published_weights.PUBLISHED` has.

    Returns:
        A module with ``embed_dim`` whose call gives an ``EncoderOutput``.

    Raises:
        ConfigError: No encoder has that name, the size does not fit it, or the module is no encoder.
        DownloadError: Published weights cannot be fetched or verified.
        InputError: The weights are of another encoder.

    Warns:
        WeightsWarning: Something in the file was not used, or something of the encoder not filled.

    Example:
        >>> create_encoder("conv_tiny").embed_dim
        128
    """
    if isinstance(name, str):
        encoder = find_encoder(name).build(image_size, in_channels)
        # Those that take some sizes only have refused it by now, and named theirs.
        check_edges((image_size,) * 3)
    else:
        from .checking import check_encoder

        check_encoder(name, in_channels)
        encoder = name
    if pretrained is not None:
        _load(encoder, name, pretrained)
    return encoder


def _load(encoder: nn.Module, name: str | nn.Module, pretrained: str | Path) -> None:
    from .loading import WeightsWarning, load_pretrained
    from .published_weights import fetch_published

    if pretrained == "published":
        if not isinstance(name, str):
            raise ConfigError("a module passed in has no published weights", "give pretrained=FILE")
        pretrained = fetch_published(name)
    report = load_pretrained(encoder, pretrained)
    if not report.complete:
        warnings.warn(f"{pretrained}: {report.head()}", WeightsWarning, stacklevel=3)
