"""Errors as the user sees them: ``error: ...``, ``hint: ...`` and an exit code."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
import sys
import traceback
from dataclasses import dataclass
from typing import Any

from ..errors import Med3DInsightError, suggest

TRACEBACK = "MED3DINSIGHT_TRACEBACK"
INTERRUPTED = 130


@dataclass(frozen=True)
class Failure:
    """One error: what is wrong, what to do next, and the exit code."""

    error: str
    hint: str
    exit_code: int


def describe(error: BaseException) -> Failure:
    """Says what an exception means to the user."""
    if isinstance(error, Med3DInsightError):
        return Failure(_line(error.message), _line(error.hint) or "see `med3dinsight --help`", error.exit_code)
    if isinstance(error, KeyboardInterrupt):
        return Failure("interrupted", "run the same command again; it goes on where it stopped", INTERRUPTED)
    if hasattr(error, "format_message"):  # click's errors, of click itself or of typer's copy
        return _usage(error)
    if (
        isinstance(error, OSError | sqlite3.OperationalError | MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
    ):
        return _machine(error)
    return _bug(error)


def _bug(error: BaseException) -> Failure:
    hint = f"this is a bug: run it again with {TRACEBACK}=1 to see where, and report that"
    return Failure(_line(f"{type(error).__name__}: {error}"), hint, 1)


def _machine(error: BaseException) -> Failure:
    """The disk, its permissions, or the memory."""
    again = "run the same command again; it goes on where it stopped"
    place = f" while writing {error.filename}" if isinstance(error, OSError) and error.filename else ""
    code = getattr(error, "sqlite_errorcode", None)
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or code == sqlite3.SQLITE_FULL:
        return Failure(f"no space left on the disk{place}", f"free some space and {again}", 2)
    if isinstance(error, PermissionError):
        return Failure(f"not allowed to use {error.filename}", "check its owner and rights, or choose another place", 2)
    if isinstance(error, OSError | sqlite3.OperationalError):
        return _bug(error)
    return Failure("not enough memory", f"close other programs or choose smaller settings, and {again}", 2)


def _usage(error: Any) -> Failure:
    """A wrong option or argument; ``error`` is one of click's exceptions."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "med3dinsight"
    hint = f"see `{path} --help`"
    message = error.format_message()
    wrong = getattr(error, "option_name", None)
    if wrong and context is not None and hasattr(error, "possibilities"):
        message = f"no such option: {wrong}"
        hint = suggest(wrong, (name for option in context.command.params for name in option.opts if name[0] == "-"))
    message = _line(message)
    return Failure(message[:1].lower() + message[1:].rstrip("."), hint, 2)


def _line(text: str) -> str:
    return " ".join(text.split())


def show_failure(failure: Failure, error: BaseException, as_json: bool) -> None:
    """Prints an error: lines to standard error, and with ``as_json`` one object to standard output."""
    if os.environ.get(TRACEBACK) and not isinstance(error, KeyboardInterrupt):
        traceback.print_exception(error, file=sys.stderr)
    say_failure(failure)
    try:
        if as_json:
            print(json.dumps(failure.__dict__))
        sys.stdout.flush()
    except OSError:  # a closed pipe or a full disk
        discard_output()


def say_failure(failure: Failure) -> None:
    """Prints an error and its hint to standard error."""
    print(f"error: {failure.error}\nhint: {failure.hint}", file=sys.stderr)


def discard_output() -> None:
    """Lets what is still to be written to standard output vanish, so that Python does not try again at exit."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
