"""Weights to and from safetensors; loading is strict, so that nothing is skipped in silence."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save, save_file
from torch import Tensor, nn

from ..errors import InputError
from ..workspace.files import replacing
from .seen import METADATA


def shared_names(module: nn.Module) -> dict[str, str]:
    """Returns the names of a state dict that are only second names of a tensor: ``{second name: first name}``.

    Some networks register a layer under two names, or tie the weights of two layers.
    """
    first: dict[int, str] = {}
    shared = {}
    for name, value in module.state_dict(keep_vars=True).items():
        if id(value) in first:
            shared[name] = first[id(value)]
        else:
            first[id(value)] = name
    return shared


def weights_bytes(module: nn.Module, facts: Mapping[str, Any] | None = None) -> bytes:
    """Serialises a module's weights (contiguous, on the CPU) as safetensors, each tensor once, by its first name.

    Args:
        module: Holds the weights.
        facts: What :func:`med3dinsight.encoders.seen.facts_of` shall tell of the file: plain JSON values.
    """
    return save(*_named(module, facts))


def save_weights(path: Path, module: nn.Module, facts: Mapping[str, Any] | None = None) -> None:
    """Writes what :func:`weights_bytes` gives, atomically, and without it in memory, where it would be three times.

    Args:
        path: The file.
        module: Holds the weights.
        facts: As for :func:`weights_bytes`.

    Raises:
        DiskFullError: There is no room for them.
    """
    tensors, metadata = _named(module, facts)
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:
            # It tells the system's error as text only.
            if number := re.search(r"\(os error (\d+)\)", str(error)):
                raise OSError(int(number[1]), str(error)) from None
            raise


def _named(module: nn.Module, facts: Mapping[str, Any] | None) -> tuple[dict[str, Tensor], dict[str, str] | None]:
    """Tensors by name, and the file's metadata."""
    shared = shared_names(module)
    state = {name: value for name, value in module.state_dict().items() if name not in shared}
    metadata = None if facts is None else {METADATA: json.dumps(facts, sort_keys=True)}
    return {name: value.detach().cpu().contiguous() for name, value in state.items()}, metadata


def load_weights(module: nn.Module, path: Path) -> int:
    """Loads weights into a module; every key and shape must fit.

    Args:
        module: Takes the weights.
        path: A file written by :func:`weights_bytes` or :func:`save_weights`.

    Returns:
        How many tensors were loaded.

    Raises:
        InputError: The file is missing, damaged, or of another encoder or input size.
    """
    try:
        state = load_file(path)
    except FileNotFoundError:
        raise InputError(f"no weights at {path}", "check the path, or pre-train first") from None
    except SafetensorError as error:
        raise InputError(f"{path} is no readable safetensors file: {error}", "write it again with pretrain") from None
    shared = shared_names(module)
    own = {name: value for name, value in module.state_dict().items() if name not in shared}
    wrong = [name for name in own if name not in state or state[name].shape != own[name].shape]
    extra = [name for name in state if name not in own]
    if wrong or extra:
        raise InputError(
            f"{path} does not fit this network: {len(wrong)} tensors missing or of another shape, {len(extra)} unknown",
            "use the network and the crop size that the weights were made with",
        )
    module.load_state_dict({**state, **{second: state[first] for second, first in shared.items()}})
    return len(state)
