"""Networks by task and name: on encoders that can be pre-trained, and the baselines beside them."""

from .registry import NETWORKS, create_network, list_networks

__all__ = ["NETWORKS", "create_network", "list_networks"]
