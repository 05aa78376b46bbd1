"""The ledger of paid answers: what chat models answered, what it cost, and what may have been paid for.

One SQLite file in WAL mode beside the caption ledger. All writes go through one thread that puts what has queued up
into one transaction; the future of a write is done when it is on the disk. A request is *reserved* before it is sent:
after a kill its reservation is still there and counts as paid, so that a budget is never passed. Money is kept in
whole nano-dollars (1 USD = 10⁹), rounded up.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from ..errors import WorkspaceError
from .answer_tables import ANSWERS as ANSWERS
from .answer_tables import ANSWERS_VERSION as ANSWERS_VERSION
from .answer_tables import REMEDY as REMEDY
from .answer_tables import connect, set_up
from .answer_writer import AnswerWriter
from .files import disk_errors
from .sqlite_errors import sqlite_errors

NANO = 1_000_000_000
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
            self._reader = connect(self.path)
            set_up(self._reader, self.path)
        self._writer = AnswerWriter(self.path)

    def __enter__(self) -> AnswerLedger:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Writes what is queued and closes the file."""
        self._writer.close()
        self._reader.close()

    def submit(self, work: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Has the writer's thread do something in its next transaction; it is durable when the future is done."""
        return self._writer.submit(work)

    def reserve(self, key: str, cost: int, *, place: str = "", fingerprints: Iterable[str] = ()) -> Future[int]:
        """Writes down that a request is about to be sent; the future gives the reservation's number.

        Args:
            key: Of the request.
            cost: The most it can cost, in nano-dollars.
            place: Of a question that goes out in a file: the folder where it *waits* until it is settled or released,
                and is asked nowhere else.
            fingerprints: Slices that a question in a file is about.
        """
        prints = tuple(fingerprints)

        def work(database: sqlite3.Connection) -> int:
            cursor = database.execute("INSERT INTO reservations (key, cost) VALUES (?,?)", (key, cost))
            number = int(cursor.lastrowid or 0)
            if place:
                database.execute("INSERT OR REPLACE INTO waiting VALUES (?,?,?)", (key, place, number))
                _index(database, prints, key)
            return number

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
        query = "SELECT fingerprint, status, text, flags FROM slices JOIN answers USING (key) WHERE fingerprint IN"
        rows = self._look_up(query, fingerprints)
        return {name: Answer(status, text, tuple(flags.split())) for name, status, text, flags in rows}

    def answer(self, key: str) -> Answer | None:
        """Returns what became of a request; None where it is still to be asked."""
        row = self._row("SELECT status, text, flags FROM answers WHERE key = ?", key)
        return Answer(row[0], row[1], tuple(row[2].split())) if row else None

    def waiting(self, fingerprints: Sequence[str]) -> dict[str, str]:
        """Returns the places where questions about slices wait for their answer, by fingerprint."""
        query = "SELECT fingerprint, place FROM slices JOIN waiting USING (key) WHERE fingerprint IN"
        return dict(self._look_up(query, fingerprints))

    def waits_in(self, key: str) -> str:
        """Returns the place where a question waits for its answer; "" where it does not."""
        row = self._row("SELECT place FROM waiting WHERE key = ?", key)
        return str(row[0]) if row else ""

    def waiting_keys(self) -> dict[str, str]:
        """Returns the places of all questions that wait, by key."""
        with sqlite_errors(self.path, REMEDY):
            return dict(self._reader.execute("SELECT key, place FROM waiting"))

    def waiting_places(self) -> dict[str, int]:
        """Returns how many questions wait in each place."""
        with sqlite_errors(self.path, REMEDY):
            return dict(self._reader.execute("SELECT place, COUNT(*) FROM waiting GROUP BY place ORDER BY place"))

    def adopt(self, place: str, questions: Iterable[tuple[str, int, Iterable[str]]]) -> Future[None]:
        """Lets questions wait that went out in files before ledgers knew of it; those that were settled are left.

        Args:
            place: The folder of the files.
            questions: Key, number of the reservation, and slices of each.
        """
        rows = [(key, number, tuple(prints)) for key, number, prints in questions]

        def work(database: sqlite3.Connection) -> None:
            for key, number, prints in rows:
                done = database.execute(
                    "INSERT OR IGNORE INTO waiting SELECT key, ?, id FROM reservations WHERE id = ? AND key = ?",
                    (place, number, key),
                )
                if done.rowcount:
                    _index(database, prints, key)

        return self.submit(work)

    def withdraw(self, keys: Iterable[str], *, paid: bool) -> Future[None]:
        """Lets questions that wait be asked again.

        Args:
            keys: Of the questions.
            paid: Whether they may have been paid for: then what was reserved stays spent.
        """
        rows = [(key,) for key in keys]

        def work(database: sqlite3.Connection) -> None:
            if not paid:  # which forgets that they wait
                database.executemany(
                    "DELETE FROM reservations WHERE id = (SELECT reservation FROM waiting WHERE key = ?)", rows
                )
            database.executemany("DELETE FROM waiting WHERE key = ?", rows)

        return self.submit(work)

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

    def in_doubt(self) -> int:
        """Returns what may have been paid for questions that no answer will come to any more, in nano-dollars.

        They were under way when a run was killed or a connection broke, or their files were given up; while a run asks,
        what it has under way counts too.
        """
        query = "SELECT COALESCE(SUM(cost), 0) FROM reservations WHERE id NOT IN (SELECT reservation FROM waiting)"
        return int(self._row(query)[0])

    def _look_up(self, query: str, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        for start in range(0, len(names), _MOST_PARAMETERS):
            part = names[start : start + _MOST_PARAMETERS]
            with sqlite_errors(self.path, REMEDY):
                yield from self._reader.execute(f"{query} ({','.join('?' * len(part))})", part)

    def _row(self, query: str, *parameters: object) -> Any:
        with sqlite_errors(self.path, REMEDY):
            return self._reader.execute(query, parameters).fetchone()


def _index(database: sqlite3.Connection, fingerprints: Sequence[str], key: str) -> None:
    database.executemany("INSERT OR REPLACE INTO slices VALUES (?,?)", ((print_, key) for print_ in fingerprints))


def _storable(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Replaces what UTF-8 cannot hold: JSON may escape half a character, and SQLite would refuse the whole reply."""
    return tuple(value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value for value in row)
