"""Settings: one TOML file -> frozen pydantic models, ``--set`` overrides, helpful errors.

A file has one table a stage (``[prepare]``, ``[pretrain]`` ...); ``--set pretrain.steps=10`` changes
one key of it. A key nobody knows is an error that names the nearest one that exists.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import ConfigError
from .errors import suggest as suggest


class StageConfig(BaseModel):
    """Base of every stage's settings: frozen; unknown keys, and numbers that are not finite, are forbidden."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    section: ClassVar[str] = ""
    #: Settings that change where or how fast, never what: they are not part of the fingerprint.
    machine_settings: ClassVar[frozenset[str]] = frozenset({"device", "workers", "threads"})

    def identity(self) -> dict[str, Any]:
        """Returns the settings that decide the result, as plain JSON values."""
        return self.model_dump(mode="json", exclude=set(self.machine_settings))


Model = TypeVar("Model", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """Reads a TOML file.

    Raises:
        ConfigError: The file is missing, not readable or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"no such file: {path}", "check the path given to --config or run") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}", "see https://toml.io for the format") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", "check the path") from None


def parse_override(text: str) -> tuple[str, str, Any]:
    """Splits ``section.key=value``; the value is read as TOML, and as a string where it is none.

    Example:
        >>> parse_override("pretrain.steps=10")
        ('pretrain', 'steps', 10)

    Raises:
        ConfigError: The text has no ``=`` or no section.
    """
    name, equals, raw = text.partition("=")
    section, dot, key = name.strip().partition(".")
    if not equals or not dot or not key:
        raise ConfigError(f"--set {text!r} is not section.key=value", "for example --set pretrain.steps=10")
    try:
        value = tomllib.loads(f"value = {raw.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = raw.strip()
    return section, key, value


def apply_overrides(document: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Returns a copy of a settings document with ``section.key=value`` texts applied."""
    result = {name: dict(table) if isinstance(table, Mapping) else table for name, table in document.items()}
    for text in overrides:
        section, key, value = parse_override(text)
        table = result.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{section} is not a table of settings", "see the example studies in the presets")
        table[key] = value
    return result


def build(model: type[Model], values: Mapping[str, Any], section: str) -> Model:
    """Checks settings and builds the frozen model.

    Args:
        model: The pydantic model of the section.
        values: Keys and values as read from TOML and options.
        section: Name of the table, for messages.

    Raises:
        ConfigError: A key is unknown (with a suggestion) or a value is not allowed (with the rule).
    """
    try:
        return model(**dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        location = ".".join(str(part) for part in (section, *first["loc"]))
        if first["type"] == "extra_forbidden":
            hint = suggest(str(first["loc"][-1]), model.model_fields)
            raise ConfigError(f"unknown setting {location}", hint) from None
        if first["type"] == "missing":
            raise ConfigError(f"setting {location} is missing", "add it to the file or pass --set") from None
        message = first["msg"].removeprefix("Value error, ")
        if not first["loc"]:  # settings that do not go together
            raise ConfigError(f"[{section}] {message}", first.get("ctx", {}).get("hint", "")) from None
        raise ConfigError(f"{location} = {first['input']!r}: {message}", _describe(model, first["loc"])) from None


def _describe(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    field = model.model_fields.get(str(location[0])) if location else None
    return f"{location[0]}: {field.description}" if field is not None and field.description else ""
