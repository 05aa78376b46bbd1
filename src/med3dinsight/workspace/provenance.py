"""Which inputs and settings made an output: fingerprints, and the record a finished stage leaves.

A stage's fingerprint is a hash of its name, a version of its code's meaning, the settings that
decide its result and the fingerprints of what it reads. A stage whose record carries the same
fingerprint is complete and does nothing when it is asked again.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import __version__
from .files import read_json, write_json

RECORD = "stage.json"


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
    """

    stage: str
    fingerprint: str
    config: dict[str, Any]
    result: dict[str, Any]
    seconds: float
    finished: float = field(default_factory=time.time)
    version: str = __version__


def write_record(folder: Path, record: StageRecord) -> None:
    """Marks a stage's folder as complete. Call it last: it is what makes the output count."""
    write_json(folder / RECORD, record.__dict__)


def read_record(folder: Path) -> StageRecord | None:
    """Reads the record of a stage's folder; None where the stage has not finished."""
    path = folder / RECORD
    return StageRecord(**read_json(path)) if path.exists() else None


def completed(folder: Path, expected: str) -> StageRecord | None:
    """Returns the record where the folder's stage finished with this fingerprint, else None."""
    record = read_record(folder)
    return record if record is not None and record.fingerprint == expected else None
