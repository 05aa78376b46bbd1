"""A study's tables written as a TOML file, so that the page itself says how to run it again."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_text(document: Mapping[str, Any]) -> str:
    """Writes a document of tables and lists of tables as TOML; keys without a value are left out.

    Example:
        >>> print(toml_text({"study": {"seeds": [0, 1]}, "arm": [{"name": "scratch"}]}))
        [study]
        seeds = [0, 1]
        <BLANKLINE>
        [[arm]]
        name = "scratch"
        <BLANKLINE>
    """
    loose = {key: value for key, value in document.items() if not _is_table(value) and not _is_rows(value)}
    blocks = ["\n".join(_lines(loose))] if loose else []
    for key, value in document.items():
        if _is_table(value):
            blocks.append("\n".join([f"[{_key(key)}]", *_lines(value)]))
        elif _is_rows(value):
            blocks += ["\n".join([f"[[{_key(key)}]]", *_lines(row)]) for row in value]
    return "\n\n".join(blocks) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _lines(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(key)} = {_value(value)}" for key, value in table.items() if value is not None]


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(_lines(value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    # JSON leaves the delete character as it is; TOML does not allow it.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
