"""2D features, one row a slice, memoised once in fp16: ``features/TOWERS/{image,text-CAPTIONER}.npy``.

A file is filled in fixed chunks of rows in the order of the ledger's slice table, so that the same
rows are always computed together and a run that was killed ends with the same bits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import WorkspaceError
from ..types import Progress, silent
from .files import disk_errors, read_json, write_json

CHUNK_ROWS = 256


def fill(
    path: Path,
    rows: int,
    width: int,
    identity: str,
    compute: Callable[[Iterable[tuple[int, int]]], Iterator[NDArray[np.floating]]],
    progress: Progress = silent,
) -> None:
    """Computes a feature file chunk by chunk; goes on where an earlier call was stopped.

    Args:
        path: The ``.npy`` file to write, ``(rows, width)`` fp16.
        rows: Number of slices.
        width: Feature width.
        identity: Fingerprint of what is computed; a file of another identity is started anew.
        compute: Takes chunks ``(first, last)`` and yields ``(last - first, width)`` features of each, in order.
        progress: Told the rows done.
    """
    state_path = path.with_suffix(".json")
    state: dict[str, Any] = {"identity": identity, "done": 0, "rows": rows, "width": width}
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and state_path.exists():
            earlier = read_json(state_path)
            if {**earlier, "done": 0} == state:
                state = earlier
        if state["done"] == 0:
            state_path.unlink(missing_ok=True)  # first: no state may vouch for rows that are gone
            _create(path, rows, width)
            write_json(state_path, state)
        done = int(state["done"])
        progress(done, rows)
        chunks = [(first, min(first + CHUNK_ROWS, rows)) for first in range(done, rows, CHUNK_ROWS)]
        for (first, last), features in zip(chunks, compute(chunks), strict=True):
            _write_rows(path, first, features.astype(np.float16, copy=False))
            write_json(state_path, {**state, "done": last})
            progress(last, rows)


def _create(path: Path, rows: int, width: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float16)), "fortran_order": False}
    with path.open("wb") as handle:
        np.lib.format.write_array_header_1_0(handle, {**header, "shape": (rows, width)})
        handle.truncate(handle.tell() + rows * width * 2)


def _write_rows(path: Path, first: int, block: NDArray[np.float16]) -> None:
    # Not through a memory map: on a full disk that ends the process with a bus error.
    offset = int(np.load(path, mmap_mode="r").offset)
    with path.open("r+b") as handle:
        handle.seek(offset + first * block.shape[1] * block.itemsize)
        handle.write(block.tobytes())
        handle.flush()
        os.fsync(handle.fileno())


def is_complete(path: Path, identity: str) -> bool:
    """Whether a feature file is filled to its end and holds what ``identity`` stands for."""
    state_path = path.with_suffix(".json")
    if not path.exists() or not state_path.exists():
        return False
    state = read_json(state_path)
    return bool(state["identity"] == identity and state["done"] == state["rows"])


def read(path: Path) -> NDArray[np.float16]:
    """Opens a complete feature file read-only, ``(rows, width)`` fp16.

    Raises:
        WorkspaceError: The file is missing or was not filled to its end.
    """
    state_path = path.with_suffix(".json")
    if not path.exists() or not state_path.exists():
        raise WorkspaceError(f"no features at {path}", "run `med3dinsight embed` first")
    state = read_json(state_path)
    if state["done"] != state["rows"]:
        raise WorkspaceError(
            f"{path} holds {state['done']} of {state['rows']} rows",
            "run `med3dinsight embed` again; it goes on where it stopped",
        )
    array: NDArray[np.float16] = np.load(path, mmap_mode="r")
    return array
