"""Settings of scoring fine-tuned runs; the table ``[evaluate]`` of a study."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..config import StageConfig


class EvaluateConfig(StageConfig):
    """Which runs are scored; and for segmentations on what pieces, with which tolerance."""

    section: ClassVar[str] = "evaluate"

    task: Literal["auto", "segmentation", "classification"] = Field(
        "auto", description="which runs are scored; auto: all, and where there are both tasks each in its own file"
    )
    runs: tuple[str, ...] = Field((), description="names of fine-tuned runs; empty: all that are finished")
    tolerance_mm: float = Field(
        3.0,
        ge=0,
        le=100,
        description="segmentation: distance in mm up to which a surface voxel counts as right in the NSD",
    )
    cases: Literal["volume", "slabs"] = Field(
        "volume",
        description="what one case is: a whole volume, or each left or right half of an axial slab of it",
    )
    slab_mm: float = Field(96.0, gt=0, le=2000, description="largest thickness of a slab along z in mm")
    seed: int = Field(0, ge=0, description="seed of the bootstrap and of sampled permutations")
