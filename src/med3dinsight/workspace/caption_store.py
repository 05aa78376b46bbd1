"""The caption ledger: which slices there are, and which text each captioner gave them.

One SQLite file in WAL mode. A text is durable when :meth:`CaptionStore.add` returns, so a kill
loses at most the texts of the call in work. Slices are read one by one, so that a table of a million
takes no memory.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import WorkspaceError
from ..records import Crop, SliceRef
from ..types import Plane
from .files import disk_errors
from .sqlite_errors import sqlite_errors

LEDGER = "ledger.sqlite"
#: Version of the tables: 1 has no flags.
LEDGER_VERSION = 2
_SCHEMA = """
CREATE TABLE IF NOT EXISTS slices (
  row INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, case_id TEXT NOT NULL,
  x INTEGER NOT NULL, y INTEGER NOT NULL, z INTEGER NOT NULL, size INTEGER NOT NULL,
  plane INTEGER NOT NULL, idx INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS captions (
  captioner TEXT NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL, flags TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (captioner, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS aside (captioner TEXT NOT NULL, case_id TEXT NOT NULL, PRIMARY KEY (captioner, case_id));
"""
#: After a captioner's name, where texts are put aside; no name has a slash.
_ASIDE = "/aside"
#: The slices of a case: keys begin with its name and a colon, which a semicolon follows.
_OF_CASE = "captioner = ? AND key >= ? AND key < ?"
_REMEDY = "remove the file and caption again; answers that were paid for are kept beside it"


class Written(NamedTuple):
    """What a captioner gave one slice.

    Attributes:
        key: The slice's :attr:`~med3dinsight.records.SliceRef.key`.
        text: The text; "" where it has none, and then a flag says why ("quarantined", "held-out").
        flags: What was noticed about the text.
    """

    key: str
    text: str
    flags: tuple[str, ...] = ()


class CaptionStore:
    """The ledger of one workspace.

    Args:
        folder: The workspace's ``captions`` folder.
        create: Make it where it does not exist.

    Raises:
        WorkspaceError: There is no ledger, the file is damaged, or a newer version wrote it.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        path = folder / LEDGER
        if not path.exists() and not create:
            raise WorkspaceError(f"no captions in {folder}", "run `med3dinsight caption` first")
        with disk_errors(path):
            folder.mkdir(parents=True, exist_ok=True)
        self._path = path
        with sqlite_errors(path, _REMEDY):
            self._database = sqlite3.connect(path, timeout=30)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._set_up()

    def _set_up(self) -> None:
        version = self._database.execute("PRAGMA user_version").fetchone()[0]
        if version > LEDGER_VERSION:
            self.close()
            raise WorkspaceError(
                f"{self._path} has format {version}; this version reads up to {LEDGER_VERSION}",
                "use the version of med3dinsight that wrote it",
            )
        self._database.executescript(_SCHEMA)
        columns = {name for _, name, *_ in self._database.execute("PRAGMA table_info(captions)")}
        if "flags" not in columns:
            self._database.execute("ALTER TABLE captions ADD COLUMN flags TEXT NOT NULL DEFAULT ''")
        if version < LEDGER_VERSION:
            self._database.execute(f"PRAGMA user_version = {LEDGER_VERSION}")

    def __enter__(self) -> CaptionStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with sqlite_errors(self._path, _REMEDY), self._database:
            yield

    def replace_slices(self, slices: Iterable[SliceRef]) -> None:
        """Sets the slice table; captions of slices that stay are kept."""
        with self._transaction():
            self._database.execute("DELETE FROM slices")
            self._database.executemany("INSERT INTO slices VALUES (?,?,?,?,?,?,?,?,?)", map(_row, enumerate(slices)))

    def slices(self) -> list[SliceRef]:
        """Returns all slices in the order of the table; row numbers index the feature files."""
        return list(self.each_slice())

    def each_slice(self) -> Iterator[SliceRef]:
        """Yields all slices in the order of the table."""
        return map(_ref, self._database.execute("SELECT * FROM slices ORDER BY row"))

    def has_slices(self, slices: Iterable[SliceRef]) -> bool:
        """Returns whether the slice table is exactly this."""
        return all(old == new for old, new in zip_longest(self.each_slice(), slices))

    def num_slices(self) -> int:
        """Returns how many slices there are."""
        return int(self._database.execute("SELECT COUNT(*) FROM slices").fetchone()[0])

    def num_written(self, captioner: str, *, only_flag: str = "") -> int:
        """Returns how many slices of the table a captioner has dealt with.

        Args:
            captioner: Whose.
            only_flag: Count those with this flag alone.
        """
        like = f"% {only_flag} %" if only_flag else "%"
        query = (
            "SELECT COUNT(*) FROM slices JOIN captions USING (key) WHERE captioner = ? AND ' ' || flags || ' ' LIKE ?"
        )
        return int(self._database.execute(query, (captioner, like)).fetchone()[0])

    def num_without_text(self, captioner: str) -> int:
        """Returns how many slices of the table a captioner has dealt with and left without a text."""
        query = "SELECT COUNT(*) FROM slices JOIN captions USING (key) WHERE captioner = ? AND text = ''"
        return int(self._database.execute(query, (captioner,)).fetchone()[0])

    def num_flagged(self, captioner: str) -> int:
        """Returns how many slices of the table have a flag, with a text or without."""
        query = "SELECT COUNT(*) FROM slices JOIN captions USING (key) WHERE captioner = ? AND flags != ''"
        return int(self._database.execute(query, (captioner,)).fetchone()[0])

    def missing(self, captioner: str, page: int = 1024) -> Iterator[SliceRef]:
        """Yields the slices that a captioner has not dealt with, in the order of the table.

        Texts may be added meanwhile: slices are read in pages, and each page anew.
        """
        last = -1
        query = (
            "SELECT * FROM slices WHERE row > ? AND NOT EXISTS "
            "(SELECT 1 FROM captions WHERE captioner = ? AND captions.key = slices.key) ORDER BY row LIMIT ?"
        )
        while rows := self._database.execute(query, (last, captioner, page)).fetchall():
            yield from map(_ref, rows)
            last = rows[-1][0]

    def add(self, captioner: str, texts: Iterable[Written | tuple[str, str]]) -> None:
        """Stores what a captioner gave slices in one durable transaction."""
        rows = (Written(*text) for text in texts)
        with self._transaction():
            self._database.executemany(
                "INSERT OR REPLACE INTO captions VALUES (?,?,?,?)",
                ((captioner, row.key, row.text, " ".join(row.flags)) for row in rows),
            )

    def remove(self, captioner: str, cases: Iterable[str]) -> None:
        """Removes a captioner's texts of all slices of some cases."""
        with self._transaction():
            self._database.executemany(
                f"DELETE FROM captions WHERE {_OF_CASE}", (_of_case(captioner, case) for case in cases)
            )

    def put_aside(self, captioner: str, cases: Iterable[str]) -> None:
        """Hides a captioner's texts of some cases: they are as if removed until they are brought back, or forgotten."""
        rows = [(captioner, case) for case in cases]
        with self._transaction():
            self._database.executemany("INSERT OR IGNORE INTO aside VALUES (?,?)", rows)
            self._database.executemany(
                f"UPDATE captions SET captioner = captioner || '{_ASIDE}' WHERE {_OF_CASE}",
                (_of_case(captioner, case) for _, case in rows),
            )

    def bring_back(self, captioner: str) -> None:
        """Undoes :meth:`put_aside`; all that was written meanwhile for slices of these cases is removed."""
        with self._transaction():
            cases = self._database.execute("SELECT case_id FROM aside WHERE captioner = ?", (captioner,)).fetchall()
            self._database.executemany(
                f"DELETE FROM captions WHERE {_OF_CASE}", [_of_case(captioner, case) for (case,) in cases]
            )
            self._database.execute(
                "UPDATE captions SET captioner = ? WHERE captioner = ?", (captioner, captioner + _ASIDE)
            )
            self._database.execute("DELETE FROM aside WHERE captioner = ?", (captioner,))

    def has_aside(self, captioner: str) -> bool:
        """Returns whether texts of a captioner are put aside."""
        query = "SELECT EXISTS (SELECT 1 FROM captions WHERE captioner = ?)"
        return bool(self._database.execute(query, (captioner + _ASIDE,)).fetchone()[0])

    def forget_aside(self, captioner: str) -> None:
        """Removes what was put aside; what was written meanwhile stays."""
        with self._transaction():
            self._database.execute("DELETE FROM captions WHERE captioner = ?", (captioner + _ASIDE,))
            self._database.execute("DELETE FROM aside WHERE captioner = ?", (captioner,))

    def texts(self, captioner: str) -> dict[str, str]:
        """Returns ``{slice key: text}`` of a captioner; slices without a text are left out."""
        query = "SELECT key, text FROM captions WHERE captioner = ? AND text != ''"
        return dict(self._database.execute(query, (captioner,)))

    def flagged(self, captioner: str) -> dict[str, tuple[str, ...]]:
        """Returns ``{slice key: flags}`` of the slices about which something was noticed."""
        query = "SELECT key, flags FROM captions WHERE captioner = ? AND flags != ''"
        return {key: tuple(flags.split()) for key, flags in self._database.execute(query, (captioner,))}

    def written(self, captioner: str) -> Iterator[tuple[SliceRef, str, tuple[str, ...]]]:
        """Yields slice, text and flags of what a captioner has dealt with, in the order of the slice table."""
        query = (
            "SELECT slices.*, text, flags FROM slices JOIN captions ON captions.key = slices.key "
            "WHERE captioner = ? ORDER BY row"
        )
        for *row, text, flags in self._database.execute(query, (captioner,)):
            yield _ref(row), text, tuple(flags.split())

    def captioners(self) -> list[str]:
        """Returns the names of captioners that have left texts."""
        query = f"SELECT DISTINCT captioner FROM captions WHERE captioner NOT LIKE '%{_ASIDE}' ORDER BY 1"
        return [name for (name,) in self._database.execute(query)]


def _of_case(captioner: str, case: str) -> tuple[str, str, str]:
    return captioner, f"{case}:", f"{case};"


def _row(numbered: tuple[int, SliceRef]) -> tuple[Any, ...]:
    number, ref = numbered
    return number, ref.key, ref.crop.case, *ref.crop.origin, ref.crop.size, int(ref.plane), ref.index


def _ref(row: Sequence[Any]) -> SliceRef:
    _, _, case, x, y, z, size, plane, index = row
    return SliceRef(Crop(case, (x, y, z), size), Plane(plane), index)
