"""Settings of preparing; the table ``[prepare]`` of a study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, field_validator

from ..config import StageConfig
from ..types import Vector3

if TYPE_CHECKING:
    from ..volumes.intensity import IntensityRules

#: Largest voxel edge in mm that can be asked for.
_LARGEST_MM = 50.0


def _spacing(value: Any) -> Any:
    if value in ("median", "own"):
        return value
    edges = list(value) if isinstance(value, list | tuple) else [value]
    numbers = [edge for edge in edges if isinstance(edge, int | float) and not isinstance(edge, bool)]
    if len(numbers) != len(edges) or len(edges) not in (1, 3) or not all(0 < edge <= _LARGEST_MM for edge in numbers):
        raise ValueError(f'give "median", "own", a number greater than 0 and at most {_LARGEST_MM:g}, or three of them')
    exact = [float(edge) for edge in numbers]
    return (exact[0], exact[1], exact[2]) if len(exact) == 3 else exact[0]


def _channels(value: Any) -> Any:
    if value in ("refuse", "split") or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise ValueError('give "refuse", "split", or the number of a channel, from 0')


class PrepareConfig(StageConfig):
    """Which scans to prepare, and to what grid and intensities."""

    section: ClassVar[str] = "prepare"
    machine_settings: ClassVar[frozenset[str]] = frozenset({"engine", "workers"})

    source: str = Field(description="folder with the scans, or a CSV or TSV table of them")
    layout: str = Field("auto", description="how the folder is laid out: auto, or a name of `med3dinsight datasets`")
    subject_pattern: str = Field(
        "", description="regular expression whose first group is the subject, searched in a scan's path; empty = folder"
    )
    protocol: Literal["cube128", "native"] = Field(
        "cube128", description="cube128: padded to a cube and resized once; native: one spacing, any shape"
    )
    cube_size: int = Field(128, ge=8, le=1024, description="edge of the cube in voxels (cube128)")
    spacing_mm: Annotated[Literal["median", "own"] | float | Vector3, BeforeValidator(_spacing)] = Field(
        "median",
        description="voxel size in mm (native): a number, three numbers for x, y, z, median: of all scans along each "
        "axis, or own: each scan keeps its own and nothing is resampled",
    )
    channels: Annotated[Literal["refuse", "split"] | int, BeforeValidator(_channels)] = Field(
        "refuse", description="4D files: refuse, split: each channel becomes a case ID-c0, ID-c1 ..., or one channel"
    )
    modality: Literal["auto", "ct", "mr"] = Field(
        "auto", description="ct, mr, or auto: from the DICOM tag, the table, else guessed from the intensities"
    )
    ct_window: tuple[float, float] = Field((-1000.0, 1000.0), description="HU that become 0 and 1 in CT")
    mr_normalisation: Literal["percentile", "zscore"] = Field(
        "percentile", description="MR: percentiles of the scan, or standard deviations from the mean of its foreground"
    )
    mr_percentiles: tuple[float, float] = Field(
        (0.5, 99.5), description="percentiles (0 to 100) of a scan's intensities that become 0 and 1 in MR"
    )
    zscore_range: float = Field(
        3.0, gt=0, le=20, description="standard deviations below and above the mean that become 0 and 1"
    )
    normalised: Literal["auto", "never"] = Field(
        "auto",
        description="auto: scans that were normalised before (0..255, 0..1, z-scores), and CT without HU, are noticed "
        "by their values; never: every scan is windowed by its modality",
    )
    engine: Literal["local", "ray"] = Field("local", description="local: this machine; ray: a Ray cluster")
    workers: int = Field(
        0, ge=0, le=1024, description="scans at a time; 0: one a core, but at least four scans for each (local)"
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

    @property
    def intensity_rules(self) -> IntensityRules:
        """How a scan's window is chosen."""
        from ..volumes.intensity import IntensityRules  # numpy, which a wrong setting need not wait for

        return IntensityRules(
            ct_window=self.ct_window,
            mr_normalisation=self.mr_normalisation,
            mr_percentiles=self.mr_percentiles,
            zscore_range=self.zscore_range,
            notice_normalised=self.normalised == "auto",
        )

    def item_settings(self) -> dict[str, Any]:
        """Returns the settings that decide what becomes of one scan, whatever folder it lies in."""
        identity = self.identity()
        for name in ("source", "layout", "subject_pattern", "channels"):
            identity.pop(name)
        identity.pop("spacing_mm" if self.protocol == "cube128" else "cube_size")
        return identity
