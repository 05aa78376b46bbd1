"""A model folder: ``model.safetensors`` and ``model.json``, all that ``predict`` needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from ..encoders.seen import Seen
from ..encoders.weights import load_weights, save_weights
from ..errors import InputError
from ..networks.registry import create_network
from ..workspace.files import read_json, write_json


def write_model(folder: Path, network: nn.Module, facts: dict[str, Any], seen: Seen) -> None:
    """Writes weights and facts; the file of weights tells whom they have seen."""
    told = {"network": facts["network"], "task": facts["task"], **seen.as_json()}
    save_weights(folder / "model.safetensors", network, told)
    write_json(folder / "model.json", facts)


def read_model(folder: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Builds the network of a model folder and loads its weights.

    Raises:
        InputError: The folder is no model folder, or its weights are damaged.
    """
    if not (folder / "model.json").exists():
        raise InputError(f"{folder} is no model folder", "give a folder that finetune wrote: WORK/finetuning/RUN")
    facts = read_json(folder / "model.json")
    network = create_network(facts["network"], facts["num_classes"], task=facts["task"], image_size=facts["patch_size"])
    load_weights(network, folder / "model.safetensors")
    return network, facts
