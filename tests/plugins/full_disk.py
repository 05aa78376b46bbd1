"""A disk that is full for a while: files of this process may not grow beyond a size."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Room:
    """Takes the room to write away, and gives it back."""

    def __init__(self) -> None:
        self._limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def take_away(self, path: Path, spare: int = 0) -> None:
        """No file may get larger than this one is, and ``spare`` bytes."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + spare, self._limits[1]))

    def give_back(self) -> None:
        """Files may grow as before."""
        resource.setrlimit(resource.RLIMIT_FSIZE, self._limits)


@contextmanager
def disk_room() -> Iterator[Room]:
    """Gives the room back at the end, whatever happens."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    room = Room()
    try:
        yield room
    finally:
        room.give_back()
        signal.signal(signal.SIGXFSZ, handler)
