"""Encoders that other packages bring: entry points of the group ``med3dinsight.encoders``.

An entry point's name is the encoder's; it leads to a function ``(image_size, in_channels) -> module``. It is imported
when its encoder is built, never to be listed, so that a broken one breaks nothing but itself.
"""

from __future__ import annotations

from collections import Counter
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from ..errors import ConfigError, Med3DInsightError
from .catalog import ENCODERS, EncoderEntry

if TYPE_CHECKING:
    from torch import nn

GROUP = "med3dinsight.encoders"
KIND = "plug-in"


def list_plug_ins() -> list[tuple[str, EncoderEntry]]:
    """Returns names and entries of all plug-ins by name, those too whose name is taken; their source says so."""
    points = sorted(entry_points(group=GROUP), key=lambda point: (point.name, _package(point)))
    count = Counter(point.name for point in points)
    return [(point.name, _entry(point, count[point.name] > 1)) for point in points]


def find_plug_ins() -> dict[str, EncoderEntry]:
    """Returns the plug-ins that can be named; a built-in encoder's name stays the built-in encoder's."""
    return {name: entry for name, entry in list_plug_ins() if name not in ENCODERS}


def _entry(point: EntryPoint, twice: bool) -> EncoderEntry:
    source = f"package {_package(point)}"
    if point.name in ENCODERS:
        source += ", not used: the name is a built-in encoder's"
    elif twice:
        source += ", not used: two packages give this name"

    def build(image_size: int, in_channels: int) -> nn.Module:
        if twice:
            raise ConfigError(f"two packages bring an encoder plug-in called {point.name}", "uninstall one of them")
        return _build(point, image_size, in_channels)

    return EncoderEntry(build, None, None, KIND, source)


def _build(point: EntryPoint, image_size: int, in_channels: int) -> nn.Module:
    from torch import nn

    from .checking import SIZES, check_encoder

    what = f"the encoder plug-in {point.name} of package {_package(point)}"
    hint = "update or uninstall that package"
    try:
        module = point.load()(image_size, in_channels)
    except Med3DInsightError:
        raise  # it speaks our errors, as of a size that does not fit
    except Exception as error:  # anything that somebody else's code can raise
        raise ConfigError(f"{what} is broken: {type(error).__name__}: {error}", hint) from error
    if not isinstance(module, nn.Module):
        raise ConfigError(f"{what} builds a {type(module).__name__} and should build a torch module", hint)
    try:
        check_encoder(module, in_channels, (*(size for size in SIZES if size < image_size), image_size))
    except ConfigError as error:
        raise ConfigError(f"{what}: {error.message}", error.hint) from error
    return module


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else "of unknown name"
