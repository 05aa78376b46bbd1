"""Keeps a voxel store as it is while somebody reads it.

Readers share a lock, and rows are only removed by who has it alone: voxels never change, and a mapped file is never
cut, under a run that lasts for days. Adding rows disturbs nobody and needs no lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from ..errors import WorkspaceLockedError
from .files import disk_errors

LOCK = "readers.lock"


def begin_reading(folder: Path) -> int | None:
    """Shares the lock of a store; closing the descriptor that it returns gives it back, as does the process's end.

    Args:
        folder: The workspace's ``prepared`` folder.

    Returns:
        None where there is no lock, as in workspaces of an earlier version.
    """
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return None
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


@contextlib.contextmanager
def nobody_reading(folder: Path, wait_seconds: float = 5.0) -> Iterator[None]:
    """Has the lock of a store alone.

    Args:
        folder: The workspace's ``prepared`` folder; there may be no store in it yet.
        wait_seconds: How long to wait for readers.

    Raises:
        WorkspaceLockedError: Somebody reads it.
    """
    make_lock(folder)
    with (folder / LOCK).open("a") as handle:
        deadline = time.monotonic() + wait_seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise WorkspaceLockedError(
                        f"{folder} is being read, and volumes in it would change",
                        "wait for the run that reads it, or prepare into another workspace",
                    ) from None
                time.sleep(0.1)
        yield


def make_lock(folder: Path) -> None:
    """Makes the file that readers lock."""
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / LOCK).touch()
