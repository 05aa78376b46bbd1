"""Files of weights as others write them: safetensors and PyTorch checkpoints, with the state dict found inside.

A PyTorch checkpoint is a pickle, which can run code when it is read. Here ``weights_only=True`` is always set, so
that only tensors and plain data can come out of one.
"""

from __future__ import annotations

import argparse
import importlib
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..errors import InputError
from .file_kinds import PICKLES, SAFETENSORS, SUFFIXES

#: Names under which checkpoints hold their weights, the preferred first: the slow average of a teacher is what
#: self-distillation evaluates.
CONTAINERS = (
    "network_weights",
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "ema",
    "teacher",
    "student",
    "network",
    "net",
    "encoder",
    "backbone",
    "module",
    "weights",
    "params",
)


@dataclass(frozen=True)
class WeightFile:
    """What a file holds.

    Attributes:
        path: The file.
        tensors: The state dict.
        container: Where it was found in the file, as in "checkpoint > teacher"; empty for the file itself.
        others: Containers beside it that hold tensors too and were not read.
        no_tensors: Keys beside the tensors that hold something else.
        plan: nnssl's ``nnssl_adaptation_plan``, where there is one.
    """

    path: Path
    tensors: dict[str, Tensor]
    container: str = ""
    others: tuple[str, ...] = ()
    no_tensors: tuple[str, ...] = ()
    plan: Mapping[str, Any] = field(default_factory=dict)


def read_weight_file(path: Path) -> WeightFile:
    """Reads a file of weights.

    Args:
        path: Its name ends in one of :data:`med3dinsight.encoders.file_kinds.SUFFIXES`.

    Raises:
        InputError: It is missing, of another kind, damaged, holds more than tensors and plain data, or no weights.
    """
    if path.is_dir():
        # Safetensors first: beside them a checkpoint of a training run holds much more than an encoder.
        inside = sorted(
            (file.name for file in path.iterdir() if file.suffix in SUFFIXES),
            key=lambda name: (not name.endswith(SAFETENSORS), name),
        )
        raise InputError(
            f"{path} is a folder, not a file of weights",
            f"give {path / inside[0]}" if inside else "give a file: " + ", ".join(f"*{suffix}" for suffix in SUFFIXES),
        )
    if not path.is_file():
        raise InputError(f"no weights at {path}", "give a file: " + ", ".join(f"*{suffix}" for suffix in SUFFIXES))
    if not path.stat().st_size:
        raise InputError(f"{path} is empty", "download it again")
    if path.suffix == SAFETENSORS:
        try:
            return WeightFile(path, load_file(path))
        except SafetensorError as error:
            raise InputError(f"{path} is no readable safetensors file: {error}", "download it again") from None
    if path.suffix not in PICKLES:
        raise InputError(f"{path} is no file of weights that is known", "known are " + ", ".join(SUFFIXES))
    return _find_state(path, _unpickle(path))


def _unpickle(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_plain_data()), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of pickle protocols: it reads the file or fails
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split("\n", 1)[0]
        found = next((line for line in str(error).splitlines() if "global" in line.lower()), reason)
        raise InputError(
            f"{path} holds more than weights, and reading it could run code: {found.strip()[:200]}",
            "where it comes from, save the weights alone: torch.save(model.state_dict(), FILE)",
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        # What ends the reading of a file that is no pickle may be as little as a number.
        reason = " ".join(str(error).split())[:200]
        told = reason if " " in reason else "it is cut off, or something else"
        raise InputError(f"{path} is no readable PyTorch file: {told}", "download it again") from None


def _plain_data() -> list[Any]:
    """What training scripts leave beside the weights, and that runs nothing: numbers of numpy and parsed arguments."""
    numpy = importlib.import_module("numpy._core.multiarray")
    makers = [numpy.scalar, numpy._reconstruct]
    old = [(maker, f"numpy.core.multiarray.{maker.__name__}") for maker in makers]
    kinds = {type(np.dtype(kind)) for kind in ("f8", "f4", "f2", "i8", "i4", "u1", "?")}
    return [argparse.Namespace, np.dtype, np.ndarray, *makers, *old, *kinds]


def _find_state(path: Path, content: Any) -> WeightFile:
    way: list[str] = []
    others: list[str] = []
    plan = content.get("nnssl_adaptation_plan", {}) if isinstance(content, Mapping) else {}
    while True:
        if not isinstance(content, Mapping) or not holds_tensors(content):
            raise InputError(f"{path} holds no weights", "give a checkpoint with a state dict: names and tensors")
        inner = [str(key) for key, value in content.items() if isinstance(value, Mapping) and holds_tensors(value)]
        known = [name for name in CONTAINERS if name in inner]
        tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if tensors and not known:
            rest = tuple(str(key) for key in content if str(key) not in tensors)
            return WeightFile(path, tensors, " > ".join(way), tuple(others), rest, plan)
        if not known and len(inner) > 1:
            raise InputError(
                f"{path} holds several sets of weights: {', '.join(inner)[:200]}",
                "save the one you mean alone: torch.save(checkpoint[NAME], FILE)",
            )
        chosen = known[0] if known else inner[0]
        others += [" > ".join([*way, name]) for name in inner if name != chosen]
        way.append(chosen)
        content = content[chosen]


def holds_tensors(content: Mapping[Any, Any]) -> bool:
    """Says whether a nested dict holds a tensor at any depth."""
    return any(
        isinstance(value, Tensor) or (isinstance(value, Mapping) and holds_tensors(value)) for value in content.values()
    )
