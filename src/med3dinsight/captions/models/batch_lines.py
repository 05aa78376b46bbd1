"""The lines of Batch files: JSON with an id, what is asked, and what was answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import Med3DInsightError
from ..asking.chat import ChatReply, DownError
from .replies import error_of, read_reply, said


@dataclass(frozen=True)
class BatchLine:
    """One line of an output or error file.

    Attributes:
        custom_id: The id that the request was written under; "" where the line has none.
        result: The answer, or why there is none.
    """

    custom_id: str
    result: ChatReply | Med3DInsightError


def request_line(custom_id: str, body: Mapping[str, Any]) -> bytes:
    r"""Returns the line that asks for one body, with its line feed.

    Example:
        >>> request_line("q1", {"model": "m"})
        b'{"custom_id":"q1","method":"POST","url":"/v1/chat/completions","body":{"model":"m"}}\n'
    """
    line = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": dict(body)}
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def read_line(line: bytes) -> BatchLine:
    """Reads a line of an output or error file; one that is cut or of another form has no id.

    Example:
        >>> read_line(b'{"custom_id": "q1", "response": null, "error": {"code": "batch_expired"}}').result
        DownError('the batch says batch_expired: no reason given', '')
    """
    try:
        row = json.loads(line)
        custom_id = str(row["custom_id"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return BatchLine("", DownError("a line is cut short or no answer of a batch", maybe_paid=False))
    return BatchLine(custom_id, _result(row))


def _result(row: dict[str, Any]) -> ChatReply | Med3DInsightError:
    response, error = row.get("response"), row.get("error")
    if not isinstance(response, dict):
        fields = error if isinstance(error, dict) else {}
        code, message = said(fields.get("code") or "nothing"), said(fields.get("message") or "no reason given")
        return DownError(f"the batch says {code}: {message}", maybe_paid=False)
    status, body = response.get("status_code"), response.get("body")
    if status != 200:
        return error_of(status if isinstance(status, int) else 500, {}, body, seen=True, secret="")
    try:
        answer = read_reply(json.dumps(body).encode())
    except DownError as problem:
        return problem
    return answer if isinstance(answer, ChatReply) else error_of(502, {}, answer, seen=True, secret="")
