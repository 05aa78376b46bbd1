"""Prompts: files of the package, or the user's own, filled in with what is known of a slice.

A prompt file is TOML with ``name``, ``version``, ``purpose``, ``user`` and perhaps ``system``. In the texts
``{modality}``, ``{plane}`` and ``{position}`` are filled in; other braces are left alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ...errors import ConfigError, suggest
from ...slices.rendering import SliceView
from ..wording import MODALITY_WORDS, scan_place
from .answer import answer_schema

_FOLDER = Path(__file__).parent
_PLACEHOLDER = re.compile(r"\{([A-Za-z_][\w.]*)\}")
_FACTS = ("modality", "plane", "position")


@dataclass(frozen=True)
class ViewFacts:
    """What a prompt tells of a slice: nothing that could name a person.

    Attributes:
        modality: "CT" or "MR".
        plane: "axial", "coronal" or "sagittal".
        position: Where it lies in the scan, in words.
    """

    modality: str
    plane: str
    position: str

    @classmethod
    def of(cls, view: SliceView) -> ViewFacts:
        """Returns the facts of a rendered slice."""
        return cls(MODALITY_WORDS[view.modality], view.plane.name.lower(), scan_place(view))


class Prompt(BaseModel):
    """One prompt; everything that reaches the model apart from the picture.

    Example:
        >>> prompt = load_prompt("describe")
        >>> system, user = prompt.messages(ViewFacts("CT", "axial", "in the middle of the scan"), b"png")
        >>> user["content"][0]["text"].strip()[:63]
        'This is one axial CT slice, in the middle of the scan. Fill in:'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, str_strip_whitespace=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", description="how it is named in tables")
    version: int = Field(ge=1, description="raised with every change of the texts")
    purpose: str = Field("", description="what it is for; never sent")
    system: str = Field("", description="the system message; none where it is empty")
    user: str = Field(min_length=1, description="the text beside the picture")

    @field_validator("system", "user")
    @classmethod
    def _known_placeholders(cls, value: str) -> str:
        for found in _PLACEHOLDER.findall(value):
            if found not in _FACTS:
                raise ValueError(f"{{{found}}} is not known; {suggest(found, _FACTS)}")
        return value

    @property
    def schema(self) -> dict[str, Any]:  # type: ignore[override]  # pydantic's deprecated method of that name
        """The JSON schema of the answer."""
        return answer_schema()

    @property
    def response_format(self) -> dict[str, Any]:
        """How chat completions are asked for an answer by the schema."""
        return {
            "type": "json_schema",
            "json_schema": {"name": "slice_description", "strict": True, "schema": answer_schema()},
        }

    @property
    def sha256(self) -> str:
        """Hex digest of what the model gets to read: texts and schema."""
        parts = json.dumps([self.system, self.user, self.response_format], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()

    def messages(self, facts: ViewFacts, png: bytes) -> list[dict[str, Any]]:
        """Returns the messages of a chat-completions body.

        Args:
            facts: What is known of the slice.
            png: The picture; it is sent as it is, so it must hold nothing but pixels.
        """
        picture = "data:image/png;base64," + base64.b64encode(png).decode("ascii")
        user = [
            {"type": "text", "text": _filled(self.user, facts)},
            {"type": "image_url", "image_url": {"url": picture}},
        ]
        system = [{"role": "system", "content": _filled(self.system, facts)}] if self.system else []
        return [*system, {"role": "user", "content": user}]


def list_prompts() -> list[str]:
    """Returns the names of the prompts that come with the package.

    Example:
        >>> list_prompts()
        ['describe', 'describe-spelled', 'findings']
    """
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load_prompt(name_or_path: str | Path) -> Prompt:
    """Loads a prompt of the package by name, or a file of the user's own by its path (it ends in .toml).

    Raises:
        ConfigError: No such prompt, or a file that is none.
    """
    named = str(name_or_path)
    own = named.endswith(".toml")
    if not own and named not in list_prompts():
        raise ConfigError(f"no prompt is called {named}", f"{suggest(named, list_prompts())}; a file ends in .toml")
    path = Path(named) if own else _FOLDER / f"{named}.toml"
    try:
        return Prompt.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ConfigError(f"cannot read the prompt {path}: {error.strerror}", "give the path of a file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}", "write text of several lines between triple quotes") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{path}: {where}: {first['msg']}", "a prompt has name, version, user and system") from None


def _filled(template: str, facts: ViewFacts) -> str:
    return _PLACEHOLDER.sub(lambda match: str(getattr(facts, match.group(1))), template)
