"""The log of requests: what was sent where and when, on whose word, without any content; append-only.

``audit.jsonl`` holds one JSON object a line. Each line carries the SHA-256 of the line before it, so that a line
that was changed, taken out or put in shows itself; lines cut off at the end do not, unless :attr:`AuditLog.head` was
kept elsewhere. A request is in the log before it leaves; where the log cannot be written, nothing leaves.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...errors import WorkspaceError
from ...workspace.files import disk_errors
from .guard import Permission

NAME = "audit.jsonl"
_TAIL_BYTES = 1 << 16


class AuditLog:
    """Appends to the log; threads and processes may write to one file together.

    Lines reach the system before a call returns, so that a killed process has lost none, and the disk when the log
    is closed.

    Args:
        path: The file; made, readable by its owner alone, where there is none.

    Raises:
        DiskFullError, WorkspaceError: It cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with AuditLog(Path(folder) / NAME) as log:
        ...         request = log.sent(host="127.0.0.1", model="llava", num_bytes=9, body_sha256="ab")
        ...         log.answered(request, status="200", prompt_tokens=5, completion_tokens=1)
        ...     check_audit_log(Path(folder) / NAME)
        AuditCheck(lines=2, wrong=())
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        self._end, self._head, self._torn = -1, "", False

    def __enter__(self) -> AuditLog:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def head(self) -> str:
        """Hash of the line that was written last; empty before the first."""
        return self._head

    def allowed(self, permission: Permission) -> None:
        """Writes down on whose word requests follow."""
        policy = permission.policy
        self._append(
            {
                "event": "allowed",
                "host": permission.address.host,
                "remote": permission.remote,
                "run_by": permission.run_by,
                "policy_sha256": permission.policy_sha256,
                "decided_by": "" if policy is None else policy.decided_by,
                "decided_on": "" if policy is None else policy.date.isoformat(),
            }
        )

    def sent(self, *, host: str, model: str, num_bytes: int, body_sha256: str) -> str:
        """Writes down a request that is about to leave.

        Args:
            host: Of the endpoint.
            model: That is asked.
            num_bytes: Size of the body.
            body_sha256: Hash of the body.

        Returns:
            A random id, for :meth:`answered`; it has nothing to do with the scan.
        """
        request = secrets.token_hex(16)
        told = {"host": host, "model": model, "bytes": num_bytes, "body_sha256": body_sha256}
        self._append({"event": "sent", "request": request, **told})
        return request

    def answered(
        self, request: str, *, status: str, prompt_tokens: int | None = None, completion_tokens: int | None = None
    ) -> None:
        """Writes down what became of a request.

        Args:
            request: Its id.
            status: The HTTP status, or a word for what happened instead ("timeout"); never text of the answer.
            prompt_tokens: As the endpoint counts, where it says so.
            completion_tokens: Likewise.
        """
        tokens = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
        self._append({"event": "answered", "request": request, "status": status[:32], **tokens})

    def close(self) -> None:
        """Brings the log to the disk and closes it; further calls do nothing."""
        with self._lock:
            if self._file >= 0:
                with disk_errors(self.path):
                    os.fsync(self._file)
                os.close(self._file)
                self._file = -1

    def _append(self, event: dict[str, Any]) -> None:
        with self._lock, disk_errors(self.path):
            if self._file < 0:
                raise WorkspaceError(f"the log of requests {self.path} is closed", "open it again")
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                self._catch_up()
                time = datetime.now(UTC).isoformat(timespec="milliseconds")
                line = json.dumps({"time": time, **event, "previous": self._head}, ensure_ascii=True).encode()
                self._write(line)
                self._head = hashlib.sha256(line).hexdigest()
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _catch_up(self) -> None:
        """Reads the last line where another process has written since, or a kill has cut it."""
        end = os.fstat(self._file).st_size
        if end == self._end:
            return
        tail = os.pread(self._file, _TAIL_BYTES, max(0, end - _TAIL_BYTES))
        self._torn = bool(tail) and not tail.endswith(b"\n")
        last = tail.removesuffix(b"\n").rpartition(b"\n")[2]
        self._head = hashlib.sha256(last).hexdigest() if tail else ""

    def _write(self, line: bytes) -> None:
        rest = memoryview((b"\n" if self._torn else b"") + line + b"\n")
        before, self._end = os.fstat(self._file).st_size, -1  # where writing breaks off, the next one looks
        try:
            while rest:
                rest = rest[os.write(self._file, rest) :]
        except OSError:
            os.ftruncate(self._file, before)
            raise
        self._torn, self._end = False, os.fstat(self._file).st_size


@dataclass(frozen=True)
class AuditCheck:
    """What a check of a log tells.

    Attributes:
        lines: How many lines there are.
        wrong: Numbers, from 1, of lines that do not follow from the line before, or are no whole lines.
    """

    lines: int
    wrong: tuple[int, ...]


def check_audit_log(path: Path) -> AuditCheck:
    """Checks that every line of a log follows from the one before.

    Args:
        path: The file.

    Raises:
        WorkspaceError: It cannot be read.
    """
    wrong, number, expected = [], 0, ""
    try:
        with path.open("rb") as file:
            for number, row in enumerate(file, start=1):
                line = row.removesuffix(b"\n")
                if not row.endswith(b"\n") or _previous(line) != expected:
                    wrong.append(number)
                expected = hashlib.sha256(line).hexdigest()
    except OSError as error:
        raise WorkspaceError(f"the log of requests {path} cannot be read: {error.strerror}", "check the path") from None
    return AuditCheck(number, tuple(wrong))


def _previous(line: bytes) -> Any:
    """What a line says of the one before it; None where it says nothing."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row.get("previous") if isinstance(row, dict) else None
