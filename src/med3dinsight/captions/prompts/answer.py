"""The structured answer of a model about one slice, and how it is read: leniently, but never guessed.

An answer is paid for, so it is only unreadable where there is no caption in it. What contradicts the slice is
kept and flagged elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ...errors import Med3DInsightError

_FENCE = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)
_MODALITIES = {"ct": "CT", "mr": "MR", "mri": "MR"}


class AnswerError(Med3DInsightError):
    """An answer without a readable description in it: the only kind that is asked for again."""


class SliceDescription(BaseModel):
    """What a model says about one slice; all of it is untrusted text.

    Example:
        >>> said = parse_answer('{"modality": "MRI", "plane": "Axial", "position": "", "anatomy": ["liver"],'
        ...                     ' "appearance": "", "caption": "An axial MR slice of the liver."}')
        >>> said.modality, said.plane, said.text
        ('MR', 'axial', 'An axial MR slice of the liver.')
    """

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    modality: str = Field("", description="imaging modality", json_schema_extra={"enum": ["CT", "MR", "unknown"]})
    plane: str = Field(
        "",
        description="plane of the slice",
        json_schema_extra={"enum": ["axial", "coronal", "sagittal", "unknown"]},
    )
    position: str = Field("", description="where in the body the slice lies, in a few words")
    anatomy: list[str] = Field([], description="visible organs and structures, each once")
    appearance: str = Field("", description="brightness, texture and shape of the tissues")
    caption: str = Field(min_length=1, description="plain English sentences for the whole slice")

    @field_validator("modality")
    @classmethod
    def _usual_modality(cls, value: str) -> str:
        return _MODALITIES.get(value.lower(), value)

    @field_validator("plane")
    @classmethod
    def _usual_plane(cls, value: str) -> str:
        return value.lower()

    @field_validator("anatomy", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        parts = value.split(",") if isinstance(value, str) else value
        return [part for part in parts if part != ""] if isinstance(parts, list) else parts

    @property
    def text(self) -> str:
        """What training reads: the caption on one line. Control characters stay, to be flagged."""
        return re.sub(r"[ \t\r\n]+", " ", self.caption)


def answer_schema() -> dict[str, Any]:
    """Returns the JSON schema that a model is asked for: every key needed and no other allowed.

    Example:
        >>> answer_schema()["required"]
        ['modality', 'plane', 'position', 'anatomy', 'appearance', 'caption']
    """
    properties: dict[str, Any] = {}
    for name, field in SliceDescription.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        kind: dict[str, Any] = {"type": "string"}
        if name == "anatomy":
            kind = {"type": "array", "items": {"type": "string"}}
        properties[name] = {**kind, "description": field.description, **extra}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def parse_answer(content: str) -> SliceDescription:
    """Reads a model's answer: JSON, also inside a code fence, behind its reasoning or between other words.

    Args:
        content: The answer as it came.

    Raises:
        AnswerError: There is no JSON object with a caption in it.
    """
    problem = "no JSON object"
    for candidate in _candidates(content):
        try:
            return SliceDescription.model_validate_json(candidate)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            problem = f"{where}: {first['msg']}" if where else first["msg"]
        except UnicodeEncodeError:  # half a surrogate pair
            problem = "not valid Unicode"
    raise AnswerError(f"the answer cannot be read: {problem}")


def _candidates(content: str) -> Iterator[str]:
    _, _, said = content.rpartition("</think>")
    yield said
    yield from (match.group(1) for match in _FENCE.finditer(said))
    start, end = said.find("{"), said.rfind("}")
    if 0 <= start < end:
        yield said[start : end + 1]
