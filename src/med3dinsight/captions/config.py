"""Settings of captioning; the table ``[caption]`` of a study."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from ..config import StageConfig
from ..errors import suggest
from .registry import CAPTIONERS

#: Settings that only the sampling "informative" reads.
_INFORMATIVE = ("least_body", "most_alike")


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
    sampling: Literal["uniform", "informative"] = Field(
        "uniform",
        description="uniform: equally spaced slices; informative: none that shows next to no body, none like the one "
        "before it in its plane",
    )
    positions_per_plane: int | tuple[int, int, int] = Field(
        16, description="slices of a crop in each plane, 1 to 512; or three counts: axial, coronal, sagittal"
    )
    least_body: float = Field(0.1, ge=0, le=1, description="informative: least share of body in a slice")
    most_alike: float = Field(
        0.97, gt=0, le=1, description="informative: slices that follow each other correlate less than this"
    )

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

    @field_validator("positions_per_plane")
    @classmethod
    def _counts(cls, value: int | tuple[int, int, int]) -> int | tuple[int, int, int]:
        counts = (value,) if isinstance(value, int) else value
        if min(counts) < (0 if len(counts) == 3 else 1) or not 1 <= max(counts) <= 512:
            raise ValueError("a count is 1 to 512; of three counts some may be 0")
        return value

    @field_validator(*_INFORMATIVE)
    @classmethod
    def _read_by_the_sampling(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("sampling") == "uniform" and value != cls.model_fields[str(info.field_name)].default:
            raise ValueError('only sampling = "informative" reads it')
        return value

    def slice_settings(self) -> dict[str, Any]:
        """Returns the settings that decide which uniform slices there are."""
        return self.model_dump(include={"seed", "crop_size", "crops_per_volume", "positions_per_plane"})

    def identity(self) -> dict[str, Any]:
        """Returns the settings that decide the result; ``shuffle_of`` matters to ``shuffled`` alone."""
        identity = super().identity()
        if self.sampling == "uniform":
            for name in ("sampling", *_INFORMATIVE):
                identity.pop(name)
        if self.captioner != "shuffled":
            identity.pop("shuffle_of")
        return identity
