"""Segmentation networks by name, each built on an encoder that can be pre-trained."""

from .registry import NETWORKS, create_network, list_networks

__all__ = ["NETWORKS", "create_network", "list_networks"]
