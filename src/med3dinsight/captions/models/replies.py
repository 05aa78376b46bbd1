"""What a server's reply means: an answer, or which of the four ways to fail it is.

Servers agree on the form of an answer and on little else, so errors are told apart by status first, then by the
code in the body, and by words only where a server has no code for it: that a model cannot see.
"""

from __future__ import annotations

import email.utils
import json
import math
import re
import time
from collections.abc import Mapping
from typing import Any

from ...errors import Med3DInsightError
from ..asking.chat import BusyError, ChatReply, DownError, FatalError, RefusedError

_QUOTA = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"}
#: Every request has these parameters, so the next one would fail as well.
_PARAMETER = {"unsupported_parameter", "unsupported_value", "unknown_parameter"}
_BLIND = re.compile(
    r"not a multi-?modal model|not support (?:the )?(?:image|vision|multi-?modal)|at most 0 images?\b|mmproj|"
    r"(?:image|vision|multi-?modal)\w*(?: input| content|_url)?s? (?:is |are )?(?:not supported|only supported)|"
    r"support image input|missing data required for image",
    re.IGNORECASE,
)
_LONGEST_MESSAGE = 200


def said(text: object, secret: str = "") -> str:
    r"""Returns a server's words as one short line that is safe to print, without the key.

    Example:
        >>> said("no\x1b[31m such\nkey: s3cret-key", "s3cret-key")
        'no [31m such key: (the key)'
    """
    line = str(text).replace(secret, "(the key)") if secret else str(text)
    line = " ".join("".join(char if char.isprintable() else " " for char in line[: 4 * _LONGEST_MESSAGE]).split())
    return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 1] + "…"


def read_reply(content: bytes) -> ChatReply | dict[str, Any]:
    """Reads the body of a reply with status 200.

    Returns:
        The answer; or the error object that some gateways send under this status.

    Raises:
        DownError: The body is cut or no chat completion.
    """
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError):
        raise DownError("the server's answer is cut short or no JSON") from None
    if isinstance(payload, dict) and isinstance(payload.get("error"), dict):
        return dict(payload["error"])
    try:
        choice = payload["choices"][0]
        message = choice["message"]
        text = _text(message.get("content")) or _text(message.get("refusal"))
        finish = choice.get("finish_reason")
    except (KeyError, IndexError, TypeError, AttributeError):
        raise DownError("the server's answer is no chat completion") from None
    usage = payload.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return ChatReply(
        content=text,
        prompt_tokens=_count(counts.get("prompt_tokens")),
        completion_tokens=_count(counts.get("completion_tokens")),
        model=said(payload.get("model") or ""),
        finish_reason=said(finish or "stop"),
    )


def error_of(status: int, headers: Mapping[str, str], body: object, *, seen: bool, secret: str) -> Med3DInsightError:
    """Returns the error that a reply stands for.

    Args:
        status: HTTP status; or, in a reply with status 200, the code in its error object.
        headers: Of the reply, case-insensitive.
        body: The error object, parsed, or the text.
        seen: Whether this model has already answered about a picture: then a picture can be at fault, not the model.
        secret: The key, which is never repeated.
    """
    details = body.get("error", body) if isinstance(body, dict) else body
    fields = details if isinstance(details, dict) else {}
    codes = {str(fields.get("code")), str(fields.get("type"))}
    message = said(fields.get("message") or details or "no reason given", secret)
    told = f"the server says {status}: {message}"
    if not seen and status >= 400 and _BLIND.search(message):
        return FatalError(f"the model cannot see pictures; {told}", "name a vision-language model with --model")
    if codes & _QUOTA or status == 402:
        return FatalError(f"the quota is used up; {told}", "add credit and run again: what was answered is kept")
    if status in (401, 403):
        return FatalError(f"the key is not accepted; {told}", "check the environment variable that holds the key")
    if status in (404, 405, 501):
        hint = "check --model, and --base-url, which usually ends in /v1"
        return FatalError(f"no such model or address; {told}", hint)
    if 300 <= status < 400:
        return FatalError(f"the address sends elsewhere, and that is not followed; {told}", "give the final --base-url")
    if codes & _PARAMETER and status in (400, 422):
        hint = "a model that reasons needs --set caption.reasons=true and a larger caption.max_tokens"
        return FatalError(f"the model takes other parameters; {told}", hint)
    wait = retry_after(headers)
    if status in (425, 429, 529) or (status == 503 and wait is not None):
        return BusyError(told, wait)
    if status in (408, 409) or status >= 500:
        return DownError(told)
    return RefusedError(told)


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Returns the seconds that a server asks to wait, from ``retry-after-ms`` or ``Retry-After``, or None.

    Args:
        headers: Of the reply, by lower-case names or case-insensitive.
        now: Unix time to count a date from; None is now.

    Example:
        >>> retry_after({"retry-after": "2.5"}), retry_after({"retry-after-ms": "300"}), retry_after({})
        (2.5, 0.3, None)
    """
    for name, scale in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * scale
        except ValueError:
            try:
                moment = email.utils.parsedate_to_datetime(value)
                seconds = moment.timestamp() - (time.time() if now is None else now)
            except (ValueError, OverflowError):
                continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def _text(content: object) -> str:
    if isinstance(content, list):  # some servers answer in parts, as requests may be
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
