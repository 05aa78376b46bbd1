"""Every error a user can meet, in one tree.

::

    Med3DInsightError                 exit code 1 unless a subclass says otherwise
    └── UserError                     exit code 2: the user can fix it
        ├── ConfigError               a setting or option: unknown, of the wrong type, out of range
        ├── InputError                a scan, label map or table that cannot be used as it is
        ├── WorkspaceError            a workspace that is missing, incomplete or of another format
        │   └── WorkspaceLockedError  another process is working in it
        ├── PrivacyError              something that must not leave the machine would leave it
        ├── FatalError                a chat model answers no request at all: key, address, model or quota
        ├── LeakageError              a test subject would be seen in training
        ├── DownloadError             sample data or weights that cannot be fetched or verified
        ├── DiskFullError             no space left while writing
        ├── DivergenceError           training gave a loss or gradient that is not finite
        └── NotBuiltError             a verb of the contract that this version does not have yet

A message says what is wrong and the value; the hint says what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(word: str, known: Iterable[str]) -> str:
    """Returns ``did you mean X?`` for the nearest known word, or the list of known words."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else "known: " + ", ".join(names)


class Med3DInsightError(Exception):
    """Base of all errors raised on purpose.

    Args:
        message: What is wrong, with the value, on one line.
        hint: What the user can do about it, on one line; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UserError(Med3DInsightError):
    """Something the user can fix."""

    exit_code = 2


class ConfigError(UserError):
    """A setting or option is unknown, of the wrong type or out of range."""


class InputError(UserError):
    """A scan, label map or table cannot be used as it is."""


class WorkspaceError(UserError):
    """A workspace is missing, lacks an earlier stage, or has another format version."""


class WorkspaceLockedError(WorkspaceError):
    """Another living process is working in the workspace."""


class PrivacyError(UserError):
    """Slices would leave the machine, and nobody who may has said that they can."""


class FatalError(UserError):
    """A chat model answers no request at all: the key, the address, the model or the quota is at fault."""


class LeakageError(UserError):
    """A test subject, or its voxels under another name, would be seen in training."""


class DownloadError(UserError):
    """Sample data or weights could not be fetched, or are not what was pinned."""


class DiskFullError(UserError):
    """The disk has no space left."""


class DivergenceError(UserError):
    """Training gave a loss or a gradient that is not finite; the last good checkpoint stays."""


class NotBuiltError(UserError):
    """A verb or name of the contract that this version does not have yet."""
