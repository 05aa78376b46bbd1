"""Settings of captioning; the table ``[caption]`` of a study."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, field_validator

from ..config import StageConfig
from ..errors import suggest
from .registry import CAPTIONERS


class CaptionConfig(StageConfig):
    """Which slices get a text, and from which captioner.

    All captioners of a workspace describe the same slices: other slice settings replace the slice table.
    """

    section: ClassVar[str] = "caption"

    captioner: str = Field("tissue", description="who writes: tissue, template or shuffled")
    shuffle_of: str = Field("tissue", description="whose texts `shuffled` deals out; caption with it first")
    seed: int = Field(0, ge=0, description="of the crops that are drawn and of the shuffling")
    crop_size: int = Field(64, ge=8, le=512, description="edge of a crop in voxels (native protocol)")
    crops_per_volume: int = Field(40, ge=1, le=10_000, description="different crops a volume (native protocol)")
    positions_per_plane: int = Field(16, ge=1, le=512, description="slices of a crop in each of the three planes")

    @field_validator("captioner", "shuffle_of")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in CAPTIONERS:
            raise ValueError(f"no captioner of that name; {suggest(value, CAPTIONERS)}")
        return value

    @field_validator("shuffle_of")
    @classmethod
    def _written(cls, value: str) -> str:
        if CAPTIONERS[value].load is None:
            raise ValueError("its texts are dealt out already; name the captioner that wrote them")
        return value

    def slice_settings(self) -> dict[str, int]:
        """Returns the settings that decide which slices there are."""
        return self.model_dump(include={"seed", "crop_size", "crops_per_volume", "positions_per_plane"})

    def identity(self) -> dict[str, Any]:
        """Returns the settings that decide the result; ``shuffle_of`` matters to ``shuffled`` alone."""
        identity = super().identity()
        if self.captioner != "shuffled":
            identity.pop("shuffle_of")
        return identity
