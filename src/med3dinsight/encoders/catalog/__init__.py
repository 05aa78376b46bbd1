"""The encoders that can be named, by family: one dict a file, one line an encoder."""

from .convolutional import CONVOLUTIONAL
from .entry import EncoderEntry
from .transformers import TRANSFORMERS
from .windowed import WINDOWED

ENCODERS: dict[str, EncoderEntry] = {**CONVOLUTIONAL, **TRANSFORMERS, **WINDOWED}

__all__ = ["ENCODERS", "EncoderEntry"]
