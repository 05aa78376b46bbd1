"""What is known of families of vision-language models: picture size, prompt, and whether there is a system message."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

_FILE = Path(__file__).with_name("families.toml")


class Family(BaseModel):
    """One family; where nothing is known of a model, :data:`UNKNOWN`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    types: tuple[str, ...] = Field(description="model_type in config.json")
    named: str = Field(description="part of the model's name that tells it from others of the same type")
    picture_size: int = Field(ge=64, le=2048, description="longer edge of a picture in pixels")
    prompt: str = Field(description="prompt of the package that suits it")
    system: Literal["keep", "merge"] = Field(description="what becomes of a system message")
    note: str = ""


#: A model of no known family is asked in the most careful way.
UNKNOWN = Family(
    name="unknown", types=(), named="", picture_size=384, prompt="describe-spelled", system="merge", note="not known"
)


@functools.cache
def list_families() -> tuple[Family, ...]:
    """Returns the known families, in the order in which they are tried.

    Example:
        >>> [family.name for family in list_families()][:4]
        ['medgemma', 'huatuogpt-vision', 'llava-med', 'qwen-vl']
    """
    return tuple(Family(**row) for row in tomllib.loads(_FILE.read_text(encoding="utf-8"))["family"])


def family_of(model_type: str, name: str = "") -> Family:
    """Returns the family of a model.

    Args:
        model_type: As in its config.json.
        name: Its name or the name of its folder.

    Example:
        >>> family_of("gemma3", "google/medgemma-4b-it").name, family_of("qwen2_vl").name, family_of("new").name
        ('medgemma', 'qwen-vl', 'unknown')
    """
    for family in list_families():
        if model_type in family.types and family.named in name.lower():
            return family
    return UNKNOWN
