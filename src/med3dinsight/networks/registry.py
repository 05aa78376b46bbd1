"""Networks by task and name. To add one: write its file, add one line to a task's dict in ``catalog``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from ..config import suggest
from ..encoders.any_size import check_edges
from ..encoders.plugins import find_plug_ins
from ..encoders.registry import ENCODERS
from ..errors import ConfigError
from .catalog import NETWORKS as NETWORKS
from .catalog import NetworkEntry
from .catalog.generic import GENERIC

if TYPE_CHECKING:
    from torch import nn

Task = Literal["segmentation", "classification"]


def find_network(name: str, task: Task = "segmentation") -> NetworkEntry:
    """Returns what the catalogue says about a network.

    An encoder that has no network of its own for the task gets a head that stands on any encoder.

    Raises:
        ConfigError: No network and no encoder has that name; the hint names the nearest one.
    """
    if name in NETWORKS[task]:
        return NETWORKS[task][name]
    if name in ENCODERS:
        return GENERIC[task](name, ENCODERS[name])
    plug_ins = find_plug_ins()
    if name in plug_ins:
        return GENERIC[task](name, plug_ins[name])
    raise ConfigError(f"no {task} network called {name}", suggest(name, {**NETWORKS[task], **ENCODERS, **plug_ins}))


def check_name(name: str, task: Task = "segmentation") -> None:
    """Checks that a network exists.

    Raises:
        ConfigError: It does not; the hint names the nearest one.
    """
    find_network(name, task)


def create_network(
    name: str, num_classes: int, *, task: Task = "segmentation", image_size: int = 128, in_channels: int = 1
) -> nn.Module:
    """Builds a network.

    Args:
        name: A name of :data:`NETWORKS` for the task, or any encoder's name: one without a network of its own gets a
            linear head on its mean token (classification) or a light decoder (segmentation).
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
    network = find_network(name, task).build(num_classes, image_size, in_channels)
    # Those that take some sizes only have refused it by now, and named theirs.
    check_edges((image_size,) * 3)
    return network


def list_networks() -> list[dict[str, Any]]:
    """Returns a row for each network, those on any encoder among them: name, parameters, tokens, kind, source, task.

    ``parameters`` is None where the number is not known before the network is built.
    """
    tasks: tuple[Task, ...] = get_args(Task)
    encoders = {**ENCODERS, **find_plug_ins()}
    return [
        {"name": name, "parameters": e.parameters, "tokens": None, "kind": e.kind, "source": e.source, "task": task}
        for task in tasks
        for name in {**NETWORKS[task], **encoders}
        for e in (NETWORKS[task].get(name) or GENERIC[task](name, encoders[name]),)
    ]
