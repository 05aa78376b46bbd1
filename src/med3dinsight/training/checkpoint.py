"""Checkpoints: atomic, and resumable to the same numbers.

Everything random in a step is drawn from generators seeded by (seed, step), so model, optimiser and
step number are the whole state.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..workspace.files import replacing


def save_checkpoint(path: Path, identity: str, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Writes model, optimiser and the number of finished steps atomically.

    Raises:
        DiskFullError: There is no room for it.
    """
    state = {"identity": identity, "step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    # Straight to the file: in memory it would take the weights and both moments twice over.
    with replacing(path) as temporary, temporary.open("wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:
            # After a full disk torch's writer fails once more by itself, and that error hides the cause.
            raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


def load_checkpoint(path: Path, identity: str, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Loads a checkpoint of the same run.

    Args:
        path: The file; it may not exist yet.
        identity: Fingerprint of the run; a checkpoint of other settings or inputs is ignored.
        model: Receives the weights.
        optimizer: Receives its state.

    Returns:
        Finished steps; 0 where there is nothing to resume.
    """
    state = _read(path, identity)
    if state is None:
        return 0
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def load_weights_of(path: Path, identity: str, model: nn.Module) -> int:
    """Loads the weights alone of a checkpoint; as :func:`load_checkpoint` otherwise."""
    state = _read(path, identity)
    if state is None:
        return 0
    model.load_state_dict(state["model"])
    return int(state["step"])


def _read(path: Path, identity: str) -> dict[str, Any] | None:
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state if state["identity"] == identity else None
