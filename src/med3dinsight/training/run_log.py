"""The JSONL log of a run: one line a step that was logged, cut back to the checkpoint on resume; and TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..workspace.files import disk_errors, write_bytes


class RunLog:
    """Appends rows to a ``.jsonl`` file, and to TensorBoard's event files where asked.

    Args:
        path: The file.
        step: Finished steps of the checkpoint that is resumed; later rows are dropped.
        tensorboard: Folder of event files; None for none.

    Raises:
        ConfigError: TensorBoard is asked for and not installed.
    """

    def __init__(self, path: Path, step: int, tensorboard: Path | None = None) -> None:
        self.path = path
        rows = [row for row in read_log(path) if row["step"] <= step] if step else []
        write_bytes(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
        self._events = _open_events(tensorboard, step) if tensorboard is not None else None

    def write(self, **row: Any) -> None:
        """Appends one row; it must hold ``step``, the number of finished steps."""
        with disk_errors(self.path), self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row, allow_nan=False) + "\n")
        if self._events is not None:
            for name, value in _numbers(row):
                self._events.add_scalar(name, value, row["step"])

    def close(self) -> None:
        """Writes out what TensorBoard has kept back."""
        if self._events is not None:
            self._events.close()


def require_tensorboard() -> Any:
    """Returns what writes TensorBoard's event files.

    Raises:
        ConfigError: It is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError(
            "pretrain.tensorboard needs TensorBoard, which is not installed", "pip install 'med3dinsight[tensorboard]'"
        ) from None
    return SummaryWriter


def _open_events(folder: Path, step: int) -> Any:
    return require_tensorboard()(str(folder), purge_step=step + 1)


def _numbers(row: dict[str, Any], prefix: str = "") -> list[tuple[str, float]]:
    """Flattens nested tables to ``table/name``; texts and nulls are left to the JSONL file."""
    found: list[tuple[str, float]] = []
    for name, value in row.items():
        if isinstance(value, dict):
            found += _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name != "step":
            found.append((prefix + name, float(value)))
    return found


def read_log(path: Path) -> list[dict[str, Any]]:
    """Reads the rows of a log; a last line torn by a kill is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]
