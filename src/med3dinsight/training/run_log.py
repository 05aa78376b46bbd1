"""The JSONL log of a run: one line a step that was logged, cut back to the checkpoint on resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..workspace.files import disk_errors, write_bytes


class RunLog:
    """Appends rows to a ``.jsonl`` file.

    Args:
        path: The file.
        step: Finished steps of the checkpoint that is resumed; later rows are dropped.
    """

    def __init__(self, path: Path, step: int) -> None:
        self.path = path
        rows = [row for row in read_log(path) if row["step"] <= step] if step else []
        write_bytes(path, "".join(json.dumps(row) + "\n" for row in rows).encode())

    def write(self, **row: Any) -> None:
        """Appends one row; it must hold ``step``, the number of finished steps."""
        with disk_errors(self.path), self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(row, allow_nan=False) + "\n")


def read_log(path: Path) -> list[dict[str, Any]]:
    """Reads the rows of a log; a last line torn by a kill is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1] if line]
