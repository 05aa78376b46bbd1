"""A chat model whose every request is in the log before it leaves."""

from __future__ import annotations

import contextlib
import hashlib
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import DiskFullError
from ..asking.chat import BusyError, ChatModel, ChatReply, DownError, FatalError, RefusedError
from ..asking.requests import canonical
from .audit_log import AuditLog
from .guard import Permission

#: What the log says instead of a status where no whole answer came.
_WORDS = {BusyError: "busy", DownError: "down", RefusedError: "refused", FatalError: "fatal"}


def logged(model: ChatModel, log: AuditLog, permission: Permission | None) -> ChatModel:
    """Returns a model whose requests are written down; one in this process gets none, so nothing is to be written.

    Args:
        model: Who answers.
        log: Where it is written on whose word requests follow, and then each of them.
        permission: As the guard gave it; None for a model in this process.
    """
    if permission is None:
        return model
    log.allowed(permission)
    return LoggedModel(model, log, permission.address.host)


class LoggedModel:
    """Asks another model, and writes down that it did; where that cannot be written, nothing is asked.

    A reply that came is never lost for want of room in the log: what became of a request is then written down before
    the next one, or at the end.

    Args:
        model: Who answers.
        log: Where requests are written down.
        host: Of the endpoint.
    """

    def __init__(self, model: ChatModel, log: AuditLog, host: str) -> None:
        self._model, self._log, self._host = model, log, host
        self._owed: deque[Callable[[], None]] = deque()

    async def aclose(self) -> None:
        """Closes the other model's connections, where it has any.

        Raises:
            DiskFullError, WorkspaceError: What became of requests cannot be written down.
        """
        if (close := getattr(self._model, "aclose", None)) is not None:
            await close()
        self._write_owed()

    def _write_owed(self) -> None:
        while self._owed:
            self._owed[0]()
            self._owed.popleft()

    async def complete(self, body: Mapping[str, Any]) -> ChatReply:
        """Returns the other model's answer to one body; fails as that does.

        Args:
            body: Of chat completions.

        Raises:
            DiskFullError, WorkspaceError: The log cannot be written.
        """
        self._write_owed()
        content = canonical(body)
        request = self._log.sent(
            host=self._host,
            model=str(body.get("model", "")),
            num_bytes=len(content),
            body_sha256=hashlib.sha256(content).hexdigest(),  # the key in the ledger of answers
        )
        status = "cancelled"
        reply: ChatReply | None = None
        try:
            reply = await self._model.complete(body)
            status = "answered"
            return reply
        except Exception as error:
            status = next((word for kind, word in _WORDS.items() if isinstance(error, kind)), "failed")
            raise
        finally:
            tokens = (None, None) if reply is None else (reply.prompt_tokens, reply.completion_tokens)
            self._owed.append(
                lambda: self._log.answered(request, status=status, prompt_tokens=tokens[0], completion_tokens=tokens[1])
            )
            with contextlib.suppress(DiskFullError):
                self._write_owed()
