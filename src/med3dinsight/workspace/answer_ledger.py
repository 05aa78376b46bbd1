"""The ledger of paid answers: what chat models answered, what it cost, and what may have been paid for.

One SQLite file in WAL mode beside the caption ledger. All writes go through one thread that puts what has queued up
into one transaction; the future of a write is done when it is on the disk. A request is *reserved* before it is sent:
after a kill its reservation is still there and counts as paid, so that a budget is never passed. Money is kept in
whole nano-dollars (1 USD = 10⁹), rounded up.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..errors import WorkspaceError
from .files import disk_errors
from .sqlite_errors import sqlite_errors

ANSWERS = "answers.sqlite"
#: Version of the tables.
ANSWERS_VERSION = 1
NANO = 1_000_000_000
#: What to do with a damaged file.
REMEDY = "keep a copy: it holds answers that were paid for; `sqlite3 FILE .recover` reads what is left"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS attempts (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, raw TEXT NOT NULL, model TEXT NOT NULL,
  prompt_tokens INTEGER, completion_tokens INTEGER, cost INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS attempts_of ON attempts (key);
CREATE TABLE IF NOT EXISTS answers (
  key TEXT PRIMARY KEY, status TEXT NOT NULL, text TEXT NOT NULL, flags TEXT NOT NULL, attempt INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reservations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, cost INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS slices (fingerprint TEXT PRIMARY KEY, key TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ledgers (id TEXT PRIMARY KEY, merged INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS money (spent INTEGER NOT NULL);
INSERT INTO money SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM money);
CREATE TRIGGER IF NOT EXISTS paid AFTER INSERT ON attempts
  BEGIN UPDATE money SET spent = spent + NEW.cost; END;
CREATE TRIGGER IF NOT EXISTS reserved AFTER INSERT ON reservations
  BEGIN UPDATE money SET spent = spent + NEW.cost; END;
CREATE TRIGGER IF NOT EXISTS released AFTER DELETE ON reservations
  BEGIN UPDATE money SET spent = spent - OLD.cost; END;
INSERT INTO ledgers SELECT lower(hex(randomblob(16))), 0 WHERE NOT EXISTS (SELECT 1 FROM ledgers WHERE merged = 0);
"""
_INSERT_ATTEMPT = "INSERT INTO attempts (key, raw, model, prompt_tokens, completion_tokens, cost) VALUES (?,?,?,?,?,?)"
#: SQLite allows so many parameters in every build.
_MOST_PARAMETERS = 900
Status = Literal["answered", "quarantined", "refused"]
T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    """What became of one request, for good.

    Attributes:
        status: "answered"; "quarantined": no reply could be read; "refused": the server will not answer.
        text: What training reads; "" unless answered.
        flags: What was noticed about the text.
    """

    status: Status
    text: str
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Paid:
    """One reply, readable or not.

    Attributes:
        raw: As it came; of a refusal, what the server said.
        model: As the server names it.
        prompt_tokens, completion_tokens: None where the server does not say.
        cost: In nano-dollars.
    """

    raw: str
    model: str = ""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: int = 0


class AnswerLedger:
    """The answers of one workspace, or of one shard of it.

    Args:
        folder: The workspace's ``asked`` folder.
        create: Make it where it does not exist.

    Raises:
        WorkspaceError: There is no ledger, the file is damaged, or a newer version wrote it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, AnswerLedger(Path(folder), create=True) as ledger:
        ...     number = ledger.reserve("key", 500).result()
        ...     ledger.settle(number, "key", Paid("{}", cost=300), Answer("answered", "a slice"), ["print"]).result()
        ...     ledger.find(["print"])["print"].text, ledger.spent()
        ('a slice', 300)
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        self.path = folder / ANSWERS
        if not self.path.exists() and not create:
            raise WorkspaceError(f"no answers in {folder}", "run `med3dinsight caption` with a chat model first")
        with disk_errors(self.path):
            folder.mkdir(parents=True, exist_ok=True)
        with sqlite_errors(self.path, REMEDY):
            self._reader = self._connect()
            self._set_up()
        self._queue: queue.SimpleQueue[tuple[Callable[[sqlite3.Connection], Any], Future[Any]] | None]
        self._queue = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="answer-ledger", daemon=True)
        self._writer.start()

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self.path, timeout=30, isolation_level=None)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=FULL")
        return database

    def _set_up(self) -> None:
        version = self._reader.execute("PRAGMA user_version").fetchone()[0]
        if version > ANSWERS_VERSION:
            self._reader.close()
            raise WorkspaceError(
                f"{self.path} has format {version}; this version reads up to {ANSWERS_VERSION}",
                "use the version of med3dinsight that wrote it",
            )
        self._reader.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {ANSWERS_VERSION}; COMMIT;")

    def __enter__(self) -> AnswerLedger:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Writes what is queued and closes the file."""
        if self._writer.is_alive():
            self._queue.put(None)
            self._writer.join()
        self._reader.close()

    def _write(self) -> None:
        """The writer thread: all that waits goes into one transaction."""
        database = self._connect()
        closing = False
        while not closing:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            closing = None in batch
            works = [item for item in batch if item is not None]
            try:
                with sqlite_errors(self.path, REMEDY):
                    database.execute("BEGIN IMMEDIATE")
                    results = [work(database) for work, _ in works]
                    database.execute("COMMIT")
            except BaseException as error:  # the thread lives on: whoever waits for a write is told
                if database.in_transaction:
                    database.execute("ROLLBACK")
                for _, future in works:
                    future.set_exception(error)
            else:
                for (_, future), result in zip(works, results, strict=True):
                    future.set_result(result)
        database.close()

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Has the writer's thread do something in its next transaction; it is durable when the future is done."""
        future: Future[T] = Future()
        # Running futures cannot be cancelled: a write that was asked for is made, whoever still waits for it.
        future.set_running_or_notify_cancel()
        self._queue.put((work, future))
        return future

    def reserve(self, key: str, cost: int) -> Future[int]:
        """Writes down that a request is about to be sent; the future gives the reservation's number.

        Args:
            key: Of the request.
            cost: The most it can cost, in nano-dollars.
        """

        def work(database: sqlite3.Connection) -> int:
            cursor = database.execute("INSERT INTO reservations (key, cost) VALUES (?,?)", (key, cost))
            return int(cursor.lastrowid or 0)

        return self.submit(work)

    def release(self, reservation: int) -> Future[None]:
        """Takes back a reservation whose request was certainly not paid."""

        def work(database: sqlite3.Connection) -> None:
            database.execute("DELETE FROM reservations WHERE id = ?", (reservation,))

        return self.submit(work)

    def settle(
        self, reservation: int, key: str, paid: Paid, answer: Answer | None, fingerprints: Iterable[str] = ()
    ) -> Future[None]:
        """Writes a reply down in the place of its reservation.

        Args:
            reservation: Of the request.
            key: Of the request.
            paid: The reply.
            answer: What becomes of the request; None where it will be asked again.
            fingerprints: Slices that this answers.
        """
        prints = tuple(fingerprints)

        def work(database: sqlite3.Connection) -> None:
            database.execute("DELETE FROM reservations WHERE id = ?", (reservation,))
            row = (key, paid.raw, paid.model, paid.prompt_tokens, paid.completion_tokens, paid.cost)
            attempt = database.execute(_INSERT_ATTEMPT, _storable(row)).lastrowid
            if answer is not None:
                ended = (key, answer.status, answer.text, " ".join(answer.flags), attempt)
                database.execute("INSERT OR REPLACE INTO answers VALUES (?,?,?,?,?)", _storable(ended))
                _index(database, prints, key)

        return self.submit(work)

    def index(self, fingerprints: Iterable[str], key: str) -> Future[None]:
        """Writes down that slices are answered by a request that is answered already."""
        prints = tuple(fingerprints)
        return self.submit(lambda database: _index(database, prints, key))

    def find(self, fingerprints: Sequence[str]) -> dict[str, Answer]:
        """Returns the answers of those slices that have one, by fingerprint."""
        found: dict[str, Answer] = {}
        for start in range(0, len(fingerprints), _MOST_PARAMETERS):
            part = fingerprints[start : start + _MOST_PARAMETERS]
            query = (
                "SELECT fingerprint, status, text, flags FROM slices JOIN answers USING (key) "
                f"WHERE fingerprint IN ({','.join('?' * len(part))})"
            )
            with sqlite_errors(self.path, REMEDY):
                for fingerprint, status, text, flags in self._reader.execute(query, part):
                    found[fingerprint] = Answer(status, text, tuple(flags.split()))
        return found

    def answer(self, key: str) -> Answer | None:
        """Returns what became of a request; None where it is still to be asked."""
        row = self._row("SELECT status, text, flags FROM answers WHERE key = ?", key)
        return Answer(row[0], row[1], tuple(row[2].split())) if row else None

    def raw(self, key: str) -> list[str]:
        """Returns all replies to a request as they came, the oldest first."""
        with sqlite_errors(self.path, REMEDY):
            return [
                raw for (raw,) in self._reader.execute("SELECT raw FROM attempts WHERE key = ? ORDER BY id", (key,))
            ]

    def num_attempts(self, key: str) -> int:
        """Returns how many replies to a request came."""
        return int(self._row("SELECT COUNT(*) FROM attempts WHERE key = ?", key)[0])

    def num_answers(self, status: Status) -> int:
        """Returns how many requests ended so."""
        return int(self._row("SELECT COUNT(*) FROM answers WHERE status = ?", status)[0])

    def num_open(self) -> int:
        """Returns how many requests were sent, or about to be, and never settled."""
        return int(self._row("SELECT COUNT(*) FROM reservations")[0])

    def spent(self) -> int:
        """Returns what was paid and what may have been, in nano-dollars."""
        return int(self._row("SELECT spent FROM money")[0])

    def paid(self) -> int:
        """Returns what replies cost, without what may have been paid for none, in nano-dollars."""
        return int(self._row("SELECT COALESCE(SUM(cost), 0) FROM attempts")[0])

    def _row(self, query: str, *parameters: object) -> Any:
        with sqlite_errors(self.path, REMEDY):
            return self._reader.execute(query, parameters).fetchone()


def _index(database: sqlite3.Connection, fingerprints: Sequence[str], key: str) -> None:
    database.executemany("INSERT OR REPLACE INTO slices VALUES (?,?)", ((print_, key) for print_ in fingerprints))


def _storable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Replaces what UTF-8 cannot hold: JSON may escape half a character, and SQLite would refuse the whole reply."""
    return tuple(value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value for value in row)
