"""SQLite's errors as errors that a user can act on."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from ..errors import WorkspaceError
from .files import disk_full

# How a full disk shows itself where SQLite cannot grow its log or the log's index.
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)
_KEEP = "keep a copy: it holds answers that were paid for; `sqlite3 FILE .recover` reads what is left"


@contextlib.contextmanager
def ledger_errors(path: Path, *, damaged: str = _KEEP) -> Iterator[None]:
    """Turns what SQLite says about a ledger into errors with a hint.

    Args:
        path: Of the ledger.
        damaged: What to do where the file is damaged.

    Raises:
        DiskFullError: The disk is full.
        WorkspaceError: The file is damaged or cannot be written, or another process is writing it.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code in _NO_ROOM:
            raise disk_full(path) from None
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise WorkspaceError(f"{path} is damaged: {error}", damaged) from None
        if code & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            raise WorkspaceError(f"cannot write {path}: {error}", "choose a folder that you may write to") from None
        if code & 0xFF == sqlite3.SQLITE_BUSY:
            raise WorkspaceError(f"another process is writing {path}", "wait for it, or end it") from None
        raise
