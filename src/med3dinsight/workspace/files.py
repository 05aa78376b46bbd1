"""Writing files so that a kill at any moment leaves the old content or the new, never half of it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DiskFullError, WorkspaceError

#: The disk, a quota, or the limit of a file's size is reached.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def disk_full(path: Path) -> DiskFullError:
    """The error to raise where there is no room to write ``path``."""
    return DiskFullError(
        f"no space left on the disk while writing {path}",
        "free some space and run the same command again; it goes on where it stopped",
    )


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turns "no space left" and "not allowed" into errors a user can act on.

    Raises:
        DiskFullError: The disk or quota is full, or a file may not get that large.
        WorkspaceError: The place cannot be written to.
    """
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            raise disk_full(path) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise WorkspaceError(
                f"cannot write {path}: {error.strerror}", "choose a folder that you may write to"
            ) from None
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.EISDIR):
            raise WorkspaceError(
                f"cannot write {path}: {error.filename} is in the way", "remove it, or choose another place"
            ) from None
        missing = error.errno == errno.ENOENT and Path(str(error.filename)).parent in path.parents
        if missing or error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
            raise WorkspaceError(
                f"cannot write {path}: {error.strerror}", "choose another place, or a shorter name"
            ) from None
        raise


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path in the same folder that replaces ``path`` when the block ends well.

    The content is on the disk (fsync of file and folder) before the block is left.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not mkstemp: its files are readable by their owner alone, whatever the user's umask says.
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}{path.suffix}")
        try:
            temporary.touch(exist_ok=False)
            yield temporary
            sync(temporary)
            os.replace(temporary, path)
            sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Forces a file's or folder's content to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file atomically."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON atomically; NaN and infinity are refused, undefined values must be null."""
    write_bytes(path, (json.dumps(value, indent=1, allow_nan=False, sort_keys=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Reads a JSON file of a workspace.

    Raises:
        WorkspaceError: The file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WorkspaceError(
            f"{path} is missing", "run the stage that writes it first; `status` shows what is done"
        ) from None
    except json.JSONDecodeError as error:
        raise WorkspaceError(
            f"{path} is damaged: {error}", "remove that stage's output with `clean` and run it again"
        ) from None
