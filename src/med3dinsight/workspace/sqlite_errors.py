"""What SQLite says of a file, in a user's words."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ..errors import WorkspaceError
from .files import disk_full

# How a full disk shows itself where SQLite cannot grow its log or the log's index.
_NO_ROOM = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)


@contextlib.contextmanager
def sqlite_errors(path: Path, remedy: str) -> Iterator[None]:
    """Turns errors of SQLite that a user can do something about into errors of this package.

    Args:
        path: The file.
        remedy: What to do where it is damaged.

    Raises:
        WorkspaceError: The file is damaged, may not be written, or is being written by another process for long.
        DiskFullError: The disk is full.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code == sqlite3.SQLITE_FULL or code in _NO_ROOM:
            raise disk_full(path) from None
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise WorkspaceError(f"{path} is damaged: {error}", remedy) from None
        # The lowest byte is the kind; the others tell where in SQLite it arose.
        if code & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            raise WorkspaceError(f"cannot write {path}: {error}", "choose a folder that you may write to") from None
        if code & 0xFF == sqlite3.SQLITE_BUSY:
            raise WorkspaceError(f"another process is writing {path}", "wait for it, or end it") from None
        raise
