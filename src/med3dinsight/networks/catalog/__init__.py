"""The networks that can be named, by task: one dict a file, one line a network."""

from .classification import CLASSIFICATION
from .entry import NetworkEntry
from .segmentation import SEGMENTATION

NETWORKS: dict[str, dict[str, NetworkEntry]] = {"segmentation": SEGMENTATION, "classification": CLASSIFICATION}

__all__ = ["NETWORKS", "NetworkEntry"]
