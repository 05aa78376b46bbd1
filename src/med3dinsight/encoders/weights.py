"""Weights to and from safetensors; loading is strict, so that nothing is skipped in silence."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from ..errors import InputError


def weights_bytes(module: nn.Module) -> bytes:
    """Serialises a module's weights (contiguous, on the CPU) as safetensors."""
    return save({name: value.detach().cpu().contiguous() for name, value in module.state_dict().items()})


def load_weights(module: nn.Module, path: Path) -> int:
    """Loads weights into a module; every key and shape must fit.

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
    own = module.state_dict()
    wrong = [name for name in own if name not in state or state[name].shape != own[name].shape]
    extra = [name for name in state if name not in own]
    if wrong or extra:
        raise InputError(
            f"{path} does not fit this network: {len(wrong)} tensors missing or of another shape, {len(extra)} unknown",
            "use the network and the crop size that the weights were made with",
        )
    module.load_state_dict(state)
    return len(state)
