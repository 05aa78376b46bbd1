"""The file of the answer ledger: its tables, and how it is opened."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ..errors import WorkspaceError

ANSWERS = "answers.sqlite"
#: Version of the tables: 1 does not know which questions wait in batch files.
ANSWERS_VERSION = 2
#: What to do with a damaged file.
REMEDY = "keep a copy: it holds answers that were paid for; `sqlite3 FILE .recover` reads what is left"
SCHEMA = """
CREATE TABLE IF NOT EXISTS attempts (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, raw TEXT NOT NULL, model TEXT NOT NULL,
  prompt_tokens INTEGER, completion_tokens INTEGER, cost INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS attempts_of ON attempts (key);
CREATE TABLE IF NOT EXISTS answers (
  key TEXT PRIMARY KEY, status TEXT NOT NULL, text TEXT NOT NULL, flags TEXT NOT NULL, attempt INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS reservations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, cost INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS slices (fingerprint TEXT PRIMARY KEY, key TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS waiting (
  key TEXT PRIMARY KEY, place TEXT NOT NULL, reservation INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting_of ON waiting (reservation);
CREATE TABLE IF NOT EXISTS ledgers (id TEXT PRIMARY KEY, merged INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS money (spent INTEGER NOT NULL);
INSERT INTO money SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM money);
CREATE TRIGGER IF NOT EXISTS paid AFTER INSERT ON attempts
  BEGIN UPDATE money SET spent = spent + NEW.cost; END;
CREATE TRIGGER IF NOT EXISTS reserved AFTER INSERT ON reservations
  BEGIN UPDATE money SET spent = spent + NEW.cost; END;
CREATE TRIGGER IF NOT EXISTS released AFTER DELETE ON reservations
  BEGIN UPDATE money SET spent = spent - OLD.cost; END;
CREATE TRIGGER IF NOT EXISTS waited AFTER DELETE ON reservations
  BEGIN DELETE FROM waiting WHERE reservation = OLD.id; END;
INSERT INTO ledgers SELECT lower(hex(randomblob(16))), 0 WHERE NOT EXISTS (SELECT 1 FROM ledgers WHERE merged = 0);
"""


def connect(path: Path) -> sqlite3.Connection:
    """Opens the file for one thread; a transaction that is committed is on the disk."""
    database = sqlite3.connect(path, timeout=30, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    return database


def set_up(database: sqlite3.Connection, path: Path) -> None:
    """Makes the tables where they are missing.

    Args:
        database: Open; it is closed where this fails.
        path: Of the file.

    Raises:
        WorkspaceError: A newer version wrote it.
    """
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > ANSWERS_VERSION:
        database.close()
        raise WorkspaceError(
            f"{path} has format {version}; this version reads up to {ANSWERS_VERSION}",
            "use the version of med3dinsight that wrote it",
        )
    database.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {ANSWERS_VERSION}; COMMIT;")
