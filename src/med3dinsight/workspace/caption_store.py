"""The caption ledger: which slices there are, and which text each captioner gave them.

One SQLite file in WAL mode. A text is durable when :meth:`CaptionStore.add` returns, so a kill
loses at most the texts of the call in work.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import WorkspaceError
from ..records import Crop, SliceRef
from ..types import Plane
from .files import disk_errors, disk_full

LEDGER = "ledger.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS slices (
  row INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, case_id TEXT NOT NULL,
  x INTEGER NOT NULL, y INTEGER NOT NULL, z INTEGER NOT NULL, size INTEGER NOT NULL,
  plane INTEGER NOT NULL, idx INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS captions (
  captioner TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (captioner, key)
) WITHOUT ROWID;
"""
# How a full disk shows itself where SQLite cannot grow its log or the log's index.
_NO_ROOM = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)


@contextlib.contextmanager
def _sqlite_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code == sqlite3.SQLITE_FULL or code in _NO_ROOM:
            raise disk_full(path) from None
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise WorkspaceError(
                f"{path} is damaged: {error}", "remove it with `clean WORK captions` and caption again"
            ) from None
        if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            raise WorkspaceError(f"cannot write {path}: {error}", "choose a folder that you may write to") from None
        raise


class CaptionStore:
    """The ledger of one workspace.

    Args:
        folder: The workspace's ``captions`` folder.
        create: Make it where it does not exist.

    Raises:
        WorkspaceError: There is no ledger, or the file is damaged.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        path = folder / LEDGER
        if not path.exists() and not create:
            raise WorkspaceError(f"no captions in {folder}", "run `med3dinsight caption` first")
        with disk_errors(path):
            folder.mkdir(parents=True, exist_ok=True)
        self._path = path
        with _sqlite_errors(path):
            self._database = sqlite3.connect(path, timeout=30)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(_SCHEMA)

    def __enter__(self) -> CaptionStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with _sqlite_errors(self._path), self._database:
            yield

    def replace_slices(self, slices: Iterable[SliceRef]) -> None:
        """Sets the slice table; captions of slices that stay are kept."""
        rows = [
            (number, ref.key, ref.crop.case, *ref.crop.origin, ref.crop.size, int(ref.plane), ref.index)
            for number, ref in enumerate(slices)
        ]
        with self._transaction():
            self._database.execute("DELETE FROM slices")
            self._database.executemany("INSERT INTO slices VALUES (?,?,?,?,?,?,?,?,?)", rows)

    def slices(self) -> list[SliceRef]:
        """Returns all slices in the order of the table; row numbers index the feature files."""
        rows = self._database.execute("SELECT case_id, x, y, z, size, plane, idx FROM slices ORDER BY row")
        return [
            SliceRef(Crop(case, (x, y, z), size), Plane(plane), index) for case, x, y, z, size, plane, index in rows
        ]

    def add(self, captioner: str, texts: Iterable[tuple[str, str]]) -> None:
        """Stores ``(slice key, text)`` pairs of a captioner in one durable transaction."""
        with self._transaction():
            self._database.executemany(
                "INSERT OR REPLACE INTO captions VALUES (?,?,?)", ((captioner, key, text) for key, text in texts)
            )

    def remove(self, captioner: str, cases: Iterable[str]) -> None:
        """Removes a captioner's texts of all slices of some cases."""
        with self._transaction():
            self._database.executemany(
                "DELETE FROM captions WHERE captioner = ? AND substr(key, 1, length(?)) = ?",
                ((captioner, f"{case}:", f"{case}:") for case in cases),
            )

    def texts(self, captioner: str) -> dict[str, str]:
        """Returns ``{slice key: text}`` of a captioner."""
        return dict(self._database.execute("SELECT key, text FROM captions WHERE captioner = ?", (captioner,)))

    def captioners(self) -> list[str]:
        """Returns the names of captioners that have left texts."""
        return [name for (name,) in self._database.execute("SELECT DISTINCT captioner FROM captions ORDER BY 1")]
