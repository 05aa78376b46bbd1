"""What a catalogue says about a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class NetworkEntry:
    """One network that can be named.

    Attributes:
        build: ``(num_classes, image_size, in_channels) -> module``; imports torch when it is called, not before. A
            network on an encoder that can be pre-trained has it as ``encoder``.
        parameters: Number of parameters for 6 classes (segmentation) or 2 (classification) at 128³ voxels; None where
            it is not known before the network is built.
        kind: Family of the network.
        source: Where it comes from.
        encoder: Name of the encoder it stands on; None for a baseline of its own.
    """

    build: Callable[[int, int, int], nn.Module]
    parameters: int | None
    kind: str
    source: str
    encoder: str | None = None
