"""What a verb answers, and how it is printed: lines for people, one JSON object for programs."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .failures import Failure, say_failure


@dataclasses.dataclass(frozen=True)
class Reply:
    """What a verb answers.

    Attributes:
        result: The JSON object, with the keys of the contract.
        lines: The same for people.
        failure: What the verb found wrong and yet has an answer to: the exit code, and keys of the JSON object.
    """

    result: dict[str, Any]
    lines: tuple[str, ...] = ()
    failure: Failure | None = None


def plain(value: Any) -> Any:
    """Turns a result into plain JSON values: dataclasses to objects, paths to text, NaN to null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def show_reply(reply: Reply, as_json: bool) -> None:
    """Prints a reply; with ``as_json`` the object goes to standard output and the lines to standard error."""
    stream = sys.stderr if as_json else sys.stdout
    encoding = stream.encoding or "utf-8"
    for line in reply.lines:  # names of files may hold bytes that are no text
        print(line.encode(encoding, "backslashreplace").decode(encoding), file=stream)
    if as_json:
        found = {} if reply.failure is None else reply.failure.__dict__
        print(json.dumps({**reply.result, **found}, allow_nan=False))
    if reply.failure is not None:
        say_failure(reply.failure)
    sys.stdout.flush()


def size(number: int) -> str:
    """Writes a number of bytes for people.

    Example:
        >>> size(2_500_000)
        '2.5 MB'
    """
    value = float(number)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
