"""Checkpoints on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a checkpoint and returns its path."""

    def write(content: object, name: str = "weights.pth") -> Path:
        path = tmp_path / name
        if path.suffix == ".safetensors":
            save_file(content, path)  # type: ignore[arg-type]
        else:
            torch.save(content, path)
        return path

    return write
