"""Which random id of a Batch file stands for which question: kept here, and never sent.

One SQLite file beside the request files. A request is a *draft* until its file is whole, then *open* until its
answer is durable in the answer ledger, then gone.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from ...errors import WorkspaceError
from ...workspace.files import disk_errors
from ...workspace.sqlite_errors import sqlite_errors

NAME = "batch.sqlite"
#: Version of the tables.
BATCH_VERSION = 1
_DAMAGED = "move it away: answers to the files written so far can then not be read, and their slices are asked again"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS requests (
  custom_id TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, file TEXT NOT NULL, draft INTEGER NOT NULL,
  reservation INTEGER NOT NULL, most INTEGER NOT NULL, attempts INTEGER NOT NULL,
  plane TEXT NOT NULL, modality TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prints (fingerprint TEXT PRIMARY KEY, key TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS prints_of ON prints (key);
CREATE TABLE IF NOT EXISTS files (number INTEGER PRIMARY KEY AUTOINCREMENT);
CREATE TABLE IF NOT EXISTS lots (file TEXT PRIMARY KEY, settings TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS proven (settings TEXT PRIMARY KEY) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class BatchRequest:
    """One request of a file.

    Attributes:
        custom_id: Its random id.
        key: Of the question, as in the answer ledger.
        file: Name of the file that it is in.
        reservation: Its number in the answer ledger.
        most: What was reserved, in nano-dollars.
        attempts: How many replies the answer ledger had to the question before.
        plane, modality: Of the slice, to check the text by.
    """

    custom_id: str
    key: str
    file: str
    reservation: int
    most: int
    attempts: int
    plane: str
    modality: str


def new_id() -> str:
    """Returns a random id that says nothing about a slice."""
    return f"q-{secrets.token_hex(16)}"


class BatchIds:
    """The open requests of a folder of Batch files.

    Args:
        folder: Where the files are.

    Raises:
        WorkspaceError: The file is damaged, or a newer version wrote it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        with disk_errors(self.path):
            folder.mkdir(parents=True, exist_ok=True)
        with sqlite_errors(self.path, _DAMAGED):
            self._database = sqlite3.connect(self.path, timeout=30)
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            if version > BATCH_VERSION:
                self._database.close()
                raise WorkspaceError(
                    f"{self.path} has format {version}; this version reads up to {BATCH_VERSION}",
                    "use the version of med3dinsight that wrote it",
                )
            self._database.executescript(f"{_SCHEMA} PRAGMA user_version = {BATCH_VERSION};")

    def __enter__(self) -> BatchIds:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._database.close()

    def next_file(self, settings: str) -> str:
        """Returns the name of a request file that no other had; it will hold questions by these settings."""
        with sqlite_errors(self.path, _DAMAGED), self._database:
            number = self._database.execute("INSERT INTO files DEFAULT VALUES").lastrowid
            name = f"requests-{number:04d}.jsonl"
            self._database.execute("INSERT INTO lots VALUES (?,?)", (name, settings))
        return name

    def prove(self, files: Iterable[str]) -> None:
        """Tells that questions of some files were answered: their settings are no reason to refuse."""
        query = "INSERT OR IGNORE INTO proven SELECT settings FROM lots WHERE file = ?"
        with sqlite_errors(self.path, _DAMAGED), self._database:
            self._database.executemany(query, [(file,) for file in files])

    def is_proven(self, file: str) -> bool:
        """Whether a question by the settings of a file was ever answered."""
        query = "SELECT 1 FROM lots JOIN proven USING (settings) WHERE file = ?"
        with sqlite_errors(self.path, _DAMAGED):
            return self._database.execute(query, (file,)).fetchone() is not None

    def add_draft(self, request: BatchRequest, fingerprint: str) -> None:
        """Adds a request whose file is being written, and the slice that it is about; durable with the next `keep`."""
        row = (request.custom_id, request.key, request.file, 1, request.reservation, request.most)
        with sqlite_errors(self.path, _DAMAGED):
            self._database.execute(
                "INSERT INTO requests VALUES (?,?,?,?,?,?,?,?,?)",
                (*row, request.attempts, request.plane, request.modality),
            )
        self.add_print(fingerprint, request.key)

    def add_print(self, fingerprint: str, key: str) -> None:
        """Adds a slice that a request is about too; durable with the next `keep`."""
        with sqlite_errors(self.path, _DAMAGED):
            self._database.execute("INSERT OR REPLACE INTO prints VALUES (?,?)", (fingerprint, key))

    def keep(self, reservations: Iterable[tuple[str, int]] = ()) -> None:
        """Makes all that was added durable, with the numbers of its reservations by custom id."""
        rows = [(number, custom_id) for custom_id, number in reservations]
        with sqlite_errors(self.path, _DAMAGED), self._database:
            self._database.executemany("UPDATE requests SET reservation = ? WHERE custom_id = ?", rows)

    def drafts(self) -> list[BatchRequest]:
        """Returns the requests whose file was never told to be whole."""
        return list(self._requests("draft = 1"))

    def open(self) -> list[BatchRequest]:
        """Returns the requests in files that are whole."""
        return list(self._requests("draft = 0"))

    def publish(self, file: str) -> None:
        """Tells that a file is whole."""
        with sqlite_errors(self.path, _DAMAGED), self._database:
            self._database.execute("UPDATE requests SET draft = 0 WHERE file = ?", (file,))

    def find(self, custom_id: str) -> BatchRequest | None:
        """Returns an open request; None where it is unknown, or settled."""
        return next(self._requests("custom_id = ?", custom_id), None)

    def is_open(self, key: str) -> bool:
        """Whether a question waits for its answer."""
        return next(self._requests("key = ?", key), None) is not None

    def waits(self, fingerprint: str) -> bool:
        """Whether a slice waits for an answer."""
        query = "SELECT 1 FROM prints WHERE fingerprint = ?"
        with sqlite_errors(self.path, _DAMAGED):
            return self._database.execute(query, (fingerprint,)).fetchone() is not None

    def prints(self, key: str) -> list[str]:
        """Returns the fingerprints of the slices that a question is about."""
        query = "SELECT fingerprint FROM prints WHERE key = ?"
        with sqlite_errors(self.path, _DAMAGED):
            return [name for (name,) in self._database.execute(query, (key,))]

    def close_requests(self, requests: Iterable[BatchRequest]) -> None:
        """Forgets requests: their answers are durable, or they are to be asked again."""
        rows = list(requests)
        with sqlite_errors(self.path, _DAMAGED), self._database:
            self._database.executemany("DELETE FROM requests WHERE custom_id = ?", [(one.custom_id,) for one in rows])
            self._database.executemany("DELETE FROM prints WHERE key = ?", [(one.key,) for one in rows])

    def num_open(self) -> int:
        """Returns how many requests wait for an answer."""
        with sqlite_errors(self.path, _DAMAGED):
            return int(self._database.execute("SELECT COUNT(*) FROM requests").fetchone()[0])

    def _requests(self, condition: str, *values: object) -> Iterator[BatchRequest]:
        columns = "custom_id, key, file, reservation, most, attempts, plane, modality"
        with sqlite_errors(self.path, _DAMAGED):
            rows = self._database.execute(f"SELECT {columns} FROM requests WHERE {condition}", values).fetchall()
        return (BatchRequest(*row) for row in rows)
