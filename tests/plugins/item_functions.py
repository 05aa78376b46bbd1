"""Functions of one item that workers can import: they answer, fail, or end their process."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from med3dinsight.errors import DiskFullError, InputError


def double(item: int) -> int:
    """Takes longer for even numbers, so that results come out of order."""
    time.sleep(0.05 if item % 2 == 0 else 0)
    return 2 * item


def fail(item: str) -> str:
    """Fails in the way that the item names."""
    if item == "input":
        raise InputError("it is bad", "mend it")
    if item == "memory":
        raise MemoryError
    if item == "bug":
        raise KeyError("nobody\nthought of this")
    if item == "disk":
        raise DiskFullError("no space", "free some")
    return item


def die(item: str) -> str:
    """Dies for items called "deadly", and once for a path that does not exist yet."""
    if item == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    if item.startswith("/") and not Path(item).exists():
        Path(item).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def threads(item: int) -> tuple[int, str]:
    """Tells the process and its number of threads for linear algebra."""
    return os.getpid(), os.environ["OMP_NUM_THREADS"]


def note_presence(folder: str) -> int:
    """Tells how many others work at the same time, by files in a folder."""
    mine = Path(folder) / str(os.getpid())
    mine.touch()
    time.sleep(0.1)
    others = len(list(Path(folder).iterdir()))
    mine.unlink()
    return others


def sleep_long(item: str) -> str:
    """Writes its process id to a file and sleeps."""
    Path(item).write_text(str(os.getpid()))
    time.sleep(60)
    return item
