"""Settings of preparing; the table ``[prepare]`` of a study."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from ..config import StageConfig


class PrepareConfig(StageConfig):
    """Which scans to prepare, and to what grid and intensities."""

    section: ClassVar[str] = "prepare"

    source: str = Field(description="folder with the scans, or a CSV or TSV table of them")
    layout: str = Field("auto", description="how the folder is laid out: auto, or a name of `med3dinsight datasets`")
    subject_pattern: str = Field(
        "", description="regular expression whose first group is the subject, searched in a scan's path; empty = folder"
    )
    protocol: Literal["cube128", "native"] = Field(
        "cube128", description="cube128: padded to a cube and resized once; native: one spacing, any shape"
    )
    cube_size: int = Field(128, ge=8, le=1024, description="edge of the cube in voxels (cube128)")
    spacing_mm: float = Field(1.0, gt=0, le=50, description="voxel size in mm along all axes (native)")
    modality: Literal["auto", "ct", "mr"] = Field(
        "auto", description="ct, mr, or auto: from the DICOM tag, the table, else guessed from the intensities"
    )
    ct_window: tuple[float, float] = Field((-1000.0, 1000.0), description="HU that become 0 and 1 in CT")
    mr_percentiles: tuple[float, float] = Field(
        (0.5, 99.5), description="percentiles (0 to 100) of a scan's intensities that become 0 and 1 in MR"
    )

    @field_validator("ct_window", "mr_percentiles")
    @classmethod
    def _ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not value[0] < value[1]:
            raise ValueError("the first number must be less than the second")
        return value

    @field_validator("mr_percentiles")
    @classmethod
    def _percentiles(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] < 0 or value[1] > 100:
            raise ValueError("percentiles are numbers from 0 to 100")
        return value

    def item_settings(self) -> dict[str, Any]:
        """Returns the settings that decide what becomes of one scan, whatever folder it lies in."""
        identity = self.identity()
        for name in ("source", "layout", "subject_pattern"):
            identity.pop(name)
        identity.pop("spacing_mm" if self.protocol == "cube128" else "cube_size")
        return identity
