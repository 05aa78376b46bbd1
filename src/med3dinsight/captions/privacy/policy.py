"""The policy file: somebody who may decide says in writing which data may be shown to which services.

::

    data_sets = ["Liver CT of our hospital"]     # as in `origin`; or folders = ["/data/liver"]
    licence = "own data; consent form 3, section 2"
    third_parties = "allowed"
    decided_by = "Data protection officer"
    date = 2026-03-01
    endpoints = ["api.example.com"]
    expires = 2027-03-01
"""

from __future__ import annotations

import hashlib
import tomllib
from datetime import date as Date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from ...config import build
from ...errors import ConfigError, PrivacyError
from .address import parse_address

_LARGEST_BYTES = 1 << 20


class Policy(BaseModel):
    """Who decided that which data may be shown to whom.

    Attributes:
        data_sets, folders: The data; one of the two at least.
        licence: Terms that the data came under.
        third_parties: "allowed", or "forbidden": a policy may also say no.
        decided_by, date, expires: By whom and when, and until which day.
        endpoints: Host names without scheme, port or path; none stands for others.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    data_sets: tuple[str, ...] = Field((), description="names of data sets, as in the column origin of the scans")
    folders: tuple[str, ...] = Field((), description="folders, full paths, whose scans have no origin")
    licence: str = Field(min_length=1, description="licence or terms of the data, in words")
    third_parties: Literal["allowed", "forbidden"] = Field(description="allowed or forbidden")
    decided_by: str = Field(min_length=1, description="who decided")
    date: Date = Field(strict=True, description="day of the decision, as 2026-03-01")
    endpoints: tuple[str, ...] = Field(min_length=1, description="host names that slices may be sent to")
    expires: Date | None = Field(None, strict=True, description="last day on which it holds; left out: no end")

    @field_validator("data_sets", "folders")
    @classmethod
    def _not_blank(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(text.strip() for text in value):
            raise ValueError("a name is empty")
        return value

    @field_validator("folders")
    @classmethod
    def _full_paths(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for folder in value:
            if not Path(folder).is_absolute() or Path(folder) == Path(folder).parent:
                raise ValueError("a folder is a full path below the root")
        return value

    @field_validator("licence", "third_parties")
    @classmethod
    def _names_data(cls, value: str, info: ValidationInfo) -> str:
        if not info.data.get("data_sets", ("unread",)) and not info.data.get("folders", ("unread",)):
            raise ValueError("no data set and no folder is named: give data_sets or folders")
        return value

    @field_validator("endpoints")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        hosts = []
        for text in value:
            try:
                hosts.append(parse_address(f"https://{text}").host)
            except PrivacyError as error:
                raise ValueError(error.message) from None
            if hosts[-1] != text.lower().strip("[]"):
                raise ValueError("give host names alone, without port and path")
        return tuple(hosts)


def read_policy(path: Path | str) -> tuple[Policy, str]:
    """Reads a policy file.

    Args:
        path: The TOML file.

    Returns:
        The policy, and the SHA-256 of the file, which the log of requests keeps.

    Raises:
        ConfigError: It is missing, no TOML, lacks a key, has one that nobody knows, or a value is not allowed.
    """
    file = Path(path)
    try:
        with file.open("rb") as handle:
            content = handle.read(_LARGEST_BYTES + 1)
        if len(content) > _LARGEST_BYTES:
            raise ConfigError(f"{file} is too large for a policy", "give the TOML file with the policy")
        document = tomllib.loads(content.decode("utf-8"))
    except OSError as error:
        raise ConfigError(f"the policy {file} cannot be read: {error.strerror}", "check the path") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"the policy {file} is not valid TOML: {error}", "see https://toml.io") from None
    return build(Policy, document, "policy"), hashlib.sha256(content).hexdigest()
