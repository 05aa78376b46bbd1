"""What a catalogue says about an encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class EncoderEntry:
    """One encoder that can be named.

    Attributes:
        build: ``(image_size, in_channels) -> module``; imports torch when it is called, not before.
        parameters: Number of parameters, built for 128³ voxels and one channel; None for a plug-in, which is not built
            to be listed.
        tokens: Shape of the tokens at 128³ as text; None for a plug-in.
        kind: Family of the network.
        source: Where it comes from.
    """

    build: Callable[[int, int], nn.Module]
    parameters: int | None
    tokens: str | None
    kind: str
    source: str
