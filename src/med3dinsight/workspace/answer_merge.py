"""Brings the answers of a shard into the ledger of its workspace."""

from __future__ import annotations

import contextlib
import sqlite3
from concurrent.futures import Future
from pathlib import Path

from .answer_ledger import ANSWERS, REMEDY, AnswerLedger
from .sqlite_errors import sqlite_errors


def merge_answers(ledger: AnswerLedger, shard: Path) -> Future[bool]:
    """Takes over all that a shard's ledger holds, in one transaction; what is answered already stays as it is.

    A shard that was merged is merged no second time, so a kill between this and the removal of the shard's folder costs
    nothing. Nobody may be writing the shard's ledger, before or after.

    Args:
        ledger: Of the workspace.
        shard: Folder of the shard.

    Returns:
        A future that gives False where the shard was merged before.

    Raises:
        WorkspaceError: There is no ledger, the file is damaged, or a newer version wrote it.
    """
    AnswerLedger(shard).close()

    def work(database: sqlite3.Connection) -> bool:
        path = shard / ANSWERS
        with sqlite_errors(path, REMEDY), contextlib.closing(sqlite3.connect(path, timeout=30)) as other:
            return _take_over(database, other)

    return ledger.submit(work)


def _take_over(database: sqlite3.Connection, other: sqlite3.Connection) -> bool:
    (name,) = other.execute("SELECT id FROM ledgers WHERE merged = 0").fetchone()
    if database.execute("SELECT 1 FROM ledgers WHERE id = ?", (name,)).fetchone():
        return False
    database.execute("INSERT INTO ledgers VALUES (?, 1)", (name,))
    (before,) = database.execute("SELECT COALESCE(MAX(id), 0) FROM attempts").fetchone()
    database.executemany(
        "INSERT INTO attempts VALUES (?,?,?,?,?,?,?)",
        other.execute(
            "SELECT id + ?, key, raw, model, prompt_tokens, completion_tokens, cost FROM attempts", (before,)
        ),
    )
    database.executemany(
        "INSERT OR IGNORE INTO answers VALUES (?,?,?,?,?)",
        other.execute("SELECT key, status, text, flags, attempt + ? FROM answers", (before,)),
    )
    database.executemany(
        "INSERT OR IGNORE INTO slices VALUES (?,?)", other.execute("SELECT fingerprint, key FROM slices")
    )
    database.executemany(
        "INSERT INTO reservations (key, cost) VALUES (?,?)", other.execute("SELECT key, cost FROM reservations")
    )
    return True
