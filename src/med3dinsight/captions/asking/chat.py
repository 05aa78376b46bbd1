"""What every chat model is: something that answers one chat-completions body, or says why it did not.

The four ways to fail are what the asking needs to know, whatever the protocol behind: wait and try again
(:class:`BusyError`, :class:`DownError`), give this one slice up (:class:`RefusedError`), or end the run
(:class:`~med3dinsight.errors.FatalError`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ...errors import FatalError, Med3DInsightError

__all__ = ["BusyError", "ChatModel", "ChatReply", "DownError", "FatalError", "RefusedError"]


@dataclass(frozen=True)
class ChatReply:
    """One answer.

    Attributes:
        content: The text, whatever it is; "" where the model gave none.
        prompt_tokens, completion_tokens: What is paid for; None where the server does not say.
        model: The model that answered, as the server names it.
        finish_reason: "stop", "length", "content_filter", or what the server says.
    """

    content: str
    prompt_tokens: int | None
    completion_tokens: int | None
    model: str
    finish_reason: str


class BusyError(Med3DInsightError):
    """The server asks to come back later (429, or 503 with Retry-After); nothing was paid.

    Args:
        message: What the server said.
        retry_after: Seconds that it asks to wait; None where it does not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DownError(Med3DInsightError):
    """A timeout, a server error or a broken connection; the request may have been paid for.

    Args:
        message: What happened.
        maybe_paid: False only where it is known that the server did not get the request (no connection).
    """

    def __init__(self, message: str, *, maybe_paid: bool = True) -> None:
        super().__init__(message)
        self.maybe_paid = maybe_paid


class RefusedError(Med3DInsightError):
    """The server will not answer this one request (400, a content filter); asking again is no use."""


class ChatModel(Protocol):
    """Answers chat-completions bodies; it is called concurrently, from one event loop."""

    async def complete(self, body: Mapping[str, Any]) -> ChatReply:
        """Returns the answer to one body. It tries once: who asks decides about trying again.

        Raises:
            BusyError: The server is busy.
            DownError: No whole answer came.
            RefusedError: This one request is refused.
            FatalError: No request can be answered: the key, the address, the model or the quota is at fault.
        """
        ...
