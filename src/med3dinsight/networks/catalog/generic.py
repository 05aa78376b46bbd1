"""Networks on encoders that have none of their own for a task: our heads, which stand on any encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...encoders.catalog import EncoderEntry
from ...encoders.registry import create_encoder
from .entry import NetworkEntry

if TYPE_CHECKING:
    from torch import nn


def classification_on(name: str, encoder: EncoderEntry) -> NetworkEntry:
    """Returns the entry of a classifier on an encoder."""

    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        from ..token_classifier import TokenClassifier

        built = create_encoder(name, image_size=image_size, in_channels=in_channels)
        return TokenClassifier(built, num_classes)  # type: ignore[arg-type]

    # Layer norm and a linear layer to two classes on tokens of width c: 2c + 2c + 2.
    width = int(encoder.tokens.split(" x ")[1]) if encoder.tokens else None
    parameters = None if encoder.parameters is None or width is None else encoder.parameters + 4 * width + 2
    return NetworkEntry(build, parameters, encoder.kind, f"{encoder.source}; our linear head", name)


def segmentation_on(name: str, encoder: EncoderEntry) -> NetworkEntry:
    """Returns the entry of a segmenter on an encoder; its parameters are not counted beforehand."""

    def build(num_classes: int, image_size: int, in_channels: int) -> nn.Module:
        from ..pyramid_segmenter import PyramidSegmenter

        built = create_encoder(name, image_size=image_size, in_channels=in_channels)
        return PyramidSegmenter(built, num_classes)  # type: ignore[arg-type]

    return NetworkEntry(build, None, encoder.kind, f"{encoder.source}; our light decoder", name)


GENERIC = {"classification": classification_on, "segmentation": segmentation_on}
