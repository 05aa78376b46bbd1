"""Networks by task and name. To add one: write its file, add one line to a task's dict in ``catalog``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ..config import suggest
from ..errors import ConfigError
from .catalog import NETWORKS as NETWORKS

if TYPE_CHECKING:
    from torch import nn

Task = Literal["segmentation", "classification"]


def check_name(name: str, task: Task = "segmentation") -> None:
    """Checks that a network exists.

    Raises:
        ConfigError: It does not; the hint names the nearest one.
    """
    if name not in NETWORKS[task]:
        raise ConfigError(f"no {task} network called {name}", suggest(name, NETWORKS[task]))


def create_network(
    name: str, num_classes: int, *, task: Task = "segmentation", image_size: int = 128, in_channels: int = 1
) -> nn.Module:
    """Builds a network.

    Args:
        name: A name of :data:`NETWORKS` for the task.
        num_classes: Classes; for segmentation with background.
        task: "segmentation": ``(b, c, x, y, z) -> (b, num_classes, x, y, z)``; "classification":
            ``(b, c, x, y, z) -> (b, num_classes)``.
        image_size: Edge of the input cube or crop in voxels.
        in_channels: Channels of the input.

    Returns:
        A module; its ``encoder``, where it has one, can be pre-trained.

    Raises:
        ConfigError: No network has that name, or the size does not fit it.

    Example:
        >>> create_network("conv_tiny", 3).encoder.embed_dim
        128
    """
    check_name(name, task)
    return NETWORKS[task][name].build(num_classes, image_size, in_channels)


def list_networks() -> list[dict[str, Any]]:
    """Returns a row for each network: name, parameters, tokens, kind, source, task."""
    return [
        {"name": name, "parameters": e.parameters, "tokens": None, "kind": e.kind, "source": e.source, "task": task}
        for task, networks in NETWORKS.items()
        for name, e in networks.items()
    ]
