"""A chat model whose every request is in the log before it leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

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

    Args:
        model: Who answers.
        log: Where requests are written down.
        host: Of the endpoint.
    """

    def __init__(self, model: ChatModel, log: AuditLog, host: str) -> None:
        self._model, self._log, self._host = model, log, host

    async def aclose(self) -> None:
        """Closes the other model's connections, where it has any."""
        if (close := getattr(self._model, "aclose", None)) is not None:
            await close()

    async def complete(self, body: Mapping[str, Any]) -> ChatReply:
        """Returns the other model's answer to one body; fails as that does.

        Args:
            body: Of chat completions.

        Raises:
            DiskFullError, WorkspaceError: The log cannot be written.
        """
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
            self._log.answered(
                request,
                status=status,
                prompt_tokens=None if reply is None else reply.prompt_tokens,
                completion_tokens=None if reply is None else reply.completion_tokens,
            )
