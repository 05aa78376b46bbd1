"""Every feature that frozen 2D towers ever gave: ``features/memo.sqlite``, shared by all that embed in a workspace.

A feature is known by the towers (a hash of weights and preprocessing) and by the content of what was shown to them,
never by a row number, a case or a captioner: so another slice table, another captioner, another encoder or seed
computes only what is new. Slices that show the same picture, padding above all, share one feature.

Several processes may read and write at once. What is there is never changed: of two that computed the same feature
the first keeps it, and both should go on with what :meth:`FeatureMemo.find` says then.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import WorkspaceError
from .files import disk_errors
from .sqlite_errors import sqlite_errors

MEMO = "memo.sqlite"
MEMO_VERSION = 1
#: Bytes of a key; that two of a billion contents share one by chance has a probability of about 10 ** -21.
KEY_BYTES = 16
#: Keys asked for in one query.
_AT_ONCE = 500
_SCHEMA = """
CREATE TABLE IF NOT EXISTS features (key BLOB PRIMARY KEY, feature BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS shown (slice BLOB PRIMARY KEY, picture BLOB NOT NULL) WITHOUT ROWID;
"""

Kind = Literal["image", "text"]


def content_key(*parts: bytes) -> bytes:
    """Hashes contents into a key of :data:`KEY_BYTES` bytes; each part counts with its length.

    Example:
        >>> content_key(b"ab", b"c") == content_key(b"a", b"bc")
        False
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.digest()[:KEY_BYTES]


class FeatureMemo:
    """The memo of one workspace, as one pair of towers sees it.

    Args:
        folder: The workspace's ``features`` folder.
        towers: Identity of the towers.

    Raises:
        WorkspaceError: The file is damaged, or a newer version wrote it.
    """

    def __init__(self, folder: Path, towers: str) -> None:
        self._path, self._towers = folder / MEMO, towers.encode()
        with disk_errors(self._path):
            folder.mkdir(parents=True, exist_ok=True)
        with self._errors():
            self._database = sqlite3.connect(self._path, timeout=120)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            version = self._database.execute("PRAGMA user_version").fetchone()[0]
            if version > MEMO_VERSION:
                self.close()
                raise WorkspaceError(
                    f"{self._path} has format {version}; this version reads up to {MEMO_VERSION}",
                    "use the version of med3dinsight that wrote it",
                )
            self._database.executescript(_SCHEMA)
            if version < MEMO_VERSION:
                self._database.execute(f"PRAGMA user_version = {MEMO_VERSION}")

    def __enter__(self) -> FeatureMemo:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        self._database.close()

    def _errors(self) -> contextlib.AbstractContextManager[None]:
        return sqlite_errors(self._path, "remove it; features that are asked for again are then computed again")

    def find(self, kind: Kind, contents: Collection[bytes]) -> dict[bytes, NDArray[np.float16]]:
        """Returns ``{content key: feature}`` of those that are known.

        Args:
            kind: Of the image or of the text tower.
            contents: Keys of pictures or texts, see :func:`content_key`.
        """
        keys = {self._key(kind, content): content for content in contents}
        query = "SELECT key, feature FROM features WHERE key IN "
        return {keys[key]: np.frombuffer(feature, np.float16) for key, feature in self._ask(query, keys)}

    def pictures_of(self, slices: Collection[bytes]) -> dict[bytes, bytes]:
        """Returns ``{slice key: picture key}`` of slices whose picture is known: they need not be read again."""
        return dict(self._ask("SELECT slice, picture FROM shown WHERE slice IN ", slices))

    def _ask(self, query: str, keys: Collection[bytes]) -> Iterator[tuple[bytes, bytes]]:
        with self._errors():
            asked = list(keys)
            for first in range(0, len(asked), _AT_ONCE):
                part = asked[first : first + _AT_ONCE]
                yield from self._database.execute(f"{query}({','.join('?' * len(part))})", part)

    def add(
        self, kind: Kind, features: Mapping[bytes, NDArray[np.float16]], shown: Mapping[bytes, bytes] | None = None
    ) -> None:
        """Stores features, and which slices show which pictures, in one durable transaction.

        Args:
            kind: Of the image or of the text tower.
            features: ``{content key: feature}``; those that are known stay as they are.
            shown: ``{slice key: picture key}``.
        """
        rows = [(self._key(kind, content), feature.tobytes()) for content, feature in features.items()]
        pairs = list((shown or {}).items())
        if not rows and not pairs:
            return
        with self._errors(), self._database:
            self._database.executemany("INSERT OR IGNORE INTO features VALUES (?,?)", rows)
            self._database.executemany("INSERT OR IGNORE INTO shown VALUES (?,?)", pairs)

    def _key(self, kind: Kind, content: bytes) -> bytes:
        return content_key(self._towers, kind.encode(), content)
