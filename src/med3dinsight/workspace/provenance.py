"""Which inputs and settings made an output: fingerprints, and the record a finished stage leaves.

A stage's fingerprint is a hash of its name, a version of its code's meaning, the settings that
decide its result and the fingerprints of what it reads. A stage whose record carries the same
fingerprint is complete and does nothing when it is asked again. Inside :func:`look_only` a stage
that is not complete does nothing either: that is how a study is planned without any work.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .. import __version__
from .files import read_json, write_json

RECORD = "stage.json"
_LOOKING: ContextVar[bool] = ContextVar("looking", default=False)


def fingerprint(*parts: Any) -> str:
    """Hashes plain JSON values into 32 hexadecimal digits; the order of dict keys does not matter."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class StageRecord:
    """What a finished stage leaves in its folder.

    Attributes:
        stage: Name of the stage.
        fingerprint: See the module's docstring.
        config: The settings as plain JSON values.
        result: The stage's result as plain JSON values (the keys of the contract).
        seconds: Wall time of the run that finished it.
        finished: Unix time of the end.
        version: Version of the package.
        inputs: ``{folder: fingerprint}`` of the records it was made from and only makes sense with, folders
            relative to the workspace.
    """

    stage: str
    fingerprint: str
    config: dict[str, Any]
    result: dict[str, Any]
    seconds: float
    finished: float = field(default_factory=time.time)
    version: str = __version__
    inputs: dict[str, str] = field(default_factory=dict)


def write_record(folder: Path, record: StageRecord) -> None:
    """Marks a stage's folder as complete. Call it last: it is what makes the output count."""
    write_json(folder / RECORD, record.__dict__)


def read_record(folder: Path) -> StageRecord | None:
    """Reads the record of a stage's folder; None where the stage has not finished."""
    path = folder / RECORD
    if not path.exists():
        return None
    known = {item.name for item in fields(StageRecord)}
    return StageRecord(**{key: value for key, value in read_json(path).items() if key in known})


class NotDone(Exception):  # noqa: N818 -- an answer, not an error
    """Inside :func:`look_only`: the stage has work to do."""


@contextlib.contextmanager
def look_only() -> Iterator[None]:
    """Lets stages say whether they are complete without doing any work.

    Inside the block a stage's ``run`` either returns its earlier result or raises :class:`NotDone`.
    """
    token = _LOOKING.set(True)
    try:
        yield
    finally:
        _LOOKING.reset(token)


def completed(folder: Path, expected: str) -> StageRecord | None:
    """Returns the record where the folder's stage finished with this fingerprint, else None.

    A stage calls it before it does anything that costs time or writes.

    Raises:
        NotDone: It did not, and only a look was asked for.
    """
    record = read_record(folder)
    if record is not None and record.fingerprint == expected:
        return record
    if _LOOKING.get():
        raise NotDone(folder)
    return None
