"""Weights whose shape is another one than the encoder's: first layers of other channels, tables of other grids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from .patches import resize_table

Fit = Literal["same", "channels", "positions", "window"]

#: Position tables are known by these parts of their names.
_TABLES = ("position_embedding", "pos_embed", "positions")
_WINDOW = "relative_position_bias_table"


def first_layer(module: nn.Module) -> frozenset[str]:
    """Returns the names of the weight that sees the input: the first with at least two axes of space.

    It has several names where the network registers the layer twice.
    """
    found: Tensor | None = None
    names = set()
    for name, value in module.state_dict(keep_vars=True).items():
        if found is None and isinstance(value, nn.Parameter) and value.ndim >= 4:
            found = value
        if value is found:
            names.add(name)
    return frozenset(names)


def fit_of(name: str, shape: Sequence[int], wanted: Sequence[int], is_first: bool) -> Fit | None:
    """Says how a tensor of a file can become the encoder's.

    Args:
        name: The encoder's name of it.
        shape: Shape in the file.
        wanted: The encoder's shape.
        is_first: It is the first layer's weight.

    Returns:
        "same"; "channels": a first layer of other input channels; "positions": a position table ``(1, n, c)`` of
        another cubic grid; "window": a table of relative positions ``((2w - 1)³, heads)`` of another window. None: it
        cannot.
    """
    if tuple(shape) == tuple(wanted):
        return "same"
    if len(shape) != len(wanted):
        return None
    if is_first and shape[0] == wanted[0] and tuple(shape[2:]) == tuple(wanted[2:]):
        return "channels"
    if _is_table(name) and len(shape) == 3 and shape[0] == wanted[0] == 1 and shape[2] == wanted[2]:
        return "positions" if _edge(shape[1]) and _edge(wanted[1]) else None
    if name.endswith(_WINDOW) and len(shape) == 2 and shape[1] == wanted[1]:
        return "window" if _edge(shape[0]) and _edge(wanted[0]) else None
    return None


def fit_tensor(tensor: Tensor, wanted: Sequence[int], fit: Fit) -> tuple[Tensor, str]:
    """Makes a tensor of a file the encoder's.

    A first layer of other input channels is summed over them and shared out to the encoder's: what it answers to one
    grey volume copied to all channels stays the same, whichever way it goes. What it told apart between channels is
    lost.

    Args:
        tensor: From the file.
        wanted: The encoder's shape.
        fit: Of :func:`fit_of`.

    Returns:
        The tensor, and what was done to it in words; empty where nothing was.
    """
    if fit == "channels":
        return _share_channels(tensor, wanted[1])
    if fit == "positions":
        old, new = _edge(tensor.shape[1]), _edge(wanted[1])
        table = resize_table(tensor.float(), (old, old, old), (new, new, new))
        return table, f"positions interpolated from {old}³ to {new}³"
    if fit == "window":
        old, new = _edge(tensor.shape[0]), _edge(wanted[0])
        maps = tensor.float().T.unflatten(1, (old, old, old))[None]
        table = F.interpolate(maps, size=(new, new, new), mode="trilinear")[0].flatten(1).T
        return table, f"relative positions interpolated from {old}³ to {new}³"
    return tensor, ""


def _share_channels(weight: Tensor, channels: int) -> tuple[Tensor, str]:
    summed = weight.float().sum(1, keepdim=True) / channels
    shared = summed.expand(-1, channels, *weight.shape[2:])
    if channels == 1:
        return shared, f"summed over its {weight.shape[1]} input channels"
    if weight.shape[1] == 1:
        return shared, f"copied to {channels} input channels and divided by {channels}"
    return shared, f"summed over its {weight.shape[1]} input channels, shared out to {channels}"


def _is_table(name: str) -> bool:
    return any(part in name.rsplit(".", 1)[-1] for part in _TABLES)


def _edge(count: int) -> int:
    """The edge of a cube of ``count`` tokens; 0 where that is no cube."""
    edge = round(count ** (1 / 3))
    return edge if edge**3 == count else 0
