"""``dataset.json``, which nnU-Net and the Medical Segmentation Decathlon lay beside their scans.

Such a file comes from strangers: a path in it is only followed where it stays inside the folder.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InputError
from ..records import LeftOut
from ..volumes.labels import NUM_VALUES

NAME = "dataset.json"
#: The files of the great sets have about a megabyte.
MAX_BYTES = 64 << 20
_HINT = "take the file of the data set again, or give another --layout"


def read_description(directory: Path) -> dict[str, Any]:
    """Reads ``dataset.json`` of a folder.

    Raises:
        InputError: It is missing, too large, or no JSON object.
    """
    path = directory / NAME
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path} has {path.stat().st_size} bytes", f"at most {MAX_BYTES} are read; {_HINT}")
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read: {error}", _HINT) from None
    if not isinstance(content, dict):
        raise InputError(f"{path} is no JSON object", _HINT)
    return content


def entry(description: Mapping[str, Any], key: str, kind: type[list[Any]] | type[dict[str, Any]], where: Path) -> Any:
    """Returns a required entry of a description.

    Raises:
        InputError: It is missing or of another type.
    """
    if not isinstance(value := description.get(key), kind):
        what = "has no" if key not in description else f"has {type(value).__name__} for"
        raise InputError(
            f"{where / NAME} {what} `{key}`", f"it must be {'a list' if kind is list else 'an object'}; {_HINT}"
        )
    return value


def inside(directory: Path, name: object) -> Path:
    """Returns the path that a description names; links are not followed, so that scans may lie elsewhere by a link.

    Raises:
        InputError: It is no text, or leads out of the folder.
    """
    if not isinstance(name, str) or not name or "\0" in name:
        raise InputError(f"{NAME} names {name!r} for a file", "write a path below its folder")
    parts = PurePosixPath(name.replace("\\", "/"))
    if not parts.parts or parts.is_absolute() or ".." in parts.parts or ":" in parts.parts[0]:
        raise InputError(f"{NAME} names a file outside its folder: {name}", "only files below the folder are read")
    return directory / parts


def channels(names: object, where: Path) -> list[str]:
    """Returns the names of the channels in their order: of ``{"0": "CT"}``, of ``["CT"]``.

    Raises:
        InputError: They are neither, empty, or not numbered from 0.
    """
    if isinstance(names, list):
        listed = [str(name) for name in names]
    elif isinstance(names, dict) and sorted(names) == sorted(map(str, range(len(names)))):
        listed = [str(names[str(number)]) for number in range(len(names))]
    else:
        listed = []
    if not listed:
        raise InputError(f"{where / NAME} has channels {names!r}", 'they are numbered from 0: {"0": "CT"}')
    return listed


def label_names(labels: object, where: Path) -> tuple[tuple[int, str], ...]:
    """Returns ``((value, name), ...)`` by value, without the background.

    A value that lies in several regions stands several times.

    Args:
        labels: ``{"0": "background", "1": "liver"}``, ``{"background": 0, "liver": 1}``, or regions:
            ``{"whole tumour": [1, 2, 3], "core": [2, 3]}``.
        where: The folder, for the message.

    Raises:
        InputError: It is none of these.

    Example:
        >>> label_names({"background": 0, "whole": [1, 2], "core": 2}, Path("."))
        ((1, 'whole'), (2, 'whole'), (2, 'core'))
    """
    pairs: list[tuple[int, str]] = []
    try:
        if not isinstance(labels, dict):
            raise ValueError(f"they are {type(labels).__name__}")
        for key, value in labels.items():
            if isinstance(value, str):
                pairs.append((int(key), value))
            else:
                pairs += [(int(number), key) for number in (value if isinstance(value, list) else [value])]
        if any(not 0 <= value < NUM_VALUES for value, _ in pairs):
            raise ValueError("a value is not from 0 to 65535")
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"{where / NAME} has `labels` of no known form: {error}", '{"liver": 1}, for example'
        ) from None
    return tuple(sorted(((value, name) for value, name in pairs if value), key=lambda pair: pair[0]))


def count_oddity(directory: Path, cases: int) -> list[LeftOut]:
    """Compares ``numTraining`` with the number of training cases that were found."""
    declared = read_description(directory).get("numTraining")
    if declared is None or declared == cases:
        return []
    reason = f"`numTraining` is {declared}, and {cases} training cases are here"
    return [LeftOut(str(directory / NAME), reason, "see whether the download is whole")]
