"""Settings of showing slices; the table ``[slices]`` of a file of settings."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from ..config import StageConfig


class SlicesConfig(StageConfig):
    """Which slices of prepared volumes to show, and how."""

    section: ClassVar[str] = "slices"

    case: str | None = Field(None, description="id of a prepared case; all cases when left out")
    plane: str = Field("all", description="axial, coronal, sagittal or all")
    index: str = Field("middle", description="a number, middle, all, or every:K for every K-th slice")
    window: tuple[float, float] | None = Field(
        None, description="LOW,HIGH: intensities (HU for CT) shown black and white; the prepared window when left out"
    )
    marks: bool = Field(True, description="frame with marks of orientation, window and scale bar")
    labels: bool = Field(False, description="lay label maps over the slices")
    scale: int | None = Field(
        None, ge=1, le=32, description="pixels an edge of the smaller voxel side; at least 512 pixels when left out"
    )
    sampling: Literal["uniform", "informative"] | None = Field(
        None, description="choose `count` slices a plane: equally spaced, or such that show body and differ"
    )
    count: int | None = Field(
        None, ge=1, le=512, validate_default=True, description="slices of each plane that a sampling chooses"
    )
    seed: int = Field(0, ge=0, description="of informative slices")

    @field_validator("window", mode="before")
    @classmethod
    def _two_numbers(cls, value: object) -> object:
        parts = value.split(",") if isinstance(value, str) else value
        if parts is None or (isinstance(parts, list | tuple) and len(parts) == 2):
            return parts
        raise ValueError("a window is two numbers, LOW,HIGH")

    @field_validator("window")
    @classmethod
    def _ordered(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not (value[0] < value[1] and all(map(math.isfinite, value))):
            raise ValueError("the first number must be less than the second")
        return value

    @field_validator("index", mode="before")
    @classmethod
    def _number(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("sampling")
    @classmethod
    def _one_choice(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("index") != "middle":
            raise ValueError("slices are chosen by index or by sampling, not by both")
        return value

    @field_validator("count")
    @classmethod
    def _of_a_sampling(cls, value: int | None, info: ValidationInfo) -> int | None:
        if (value is None) != (info.data.get("sampling") is None):
            raise ValueError("sampling and count go together: how slices are chosen, and how many of a plane")
        return value
