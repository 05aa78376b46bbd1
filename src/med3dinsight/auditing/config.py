"""Settings of the caption audit; the table ``[audit]``."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from ..config import StageConfig


class AuditConfig(StageConfig):
    """Whose texts are audited, whom they are compared with, and how many examples the page shows."""

    section: ClassVar[str] = "audit"

    captioner: str = Field("", description="whose texts; empty = those of the only captioner that is no control")
    against: str = Field("", description="another captioner to compare with, slice by slice; empty = none")
    examples: int = Field(12, ge=0, le=200, description="worst and random examples on the page, as many of each")
    most_words: int = Field(120, ge=1, description="a text with more words than this is counted as long")
    seed: int = Field(0, ge=0, description="of the examples drawn at random")

    @field_validator("captioner", "against")
    @classmethod
    def _names_a_folder(cls, value: str) -> str:
        if value in (".", "..") or "/" in value or "\\" in value or "\0" in value:
            raise ValueError("give the name that the texts are kept under, not a path")
        return value
