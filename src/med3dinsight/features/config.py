"""Settings of embedding; the table ``[embed]`` of a study."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from ..config import StageConfig
from ..towers.registry import TOWERS


class EmbedConfig(StageConfig):
    """Which towers see which texts, and how their features become the targets of pre-training."""

    section: ClassVar[str] = "embed"
    machine_settings: ClassVar[frozenset[str]] = frozenset({"device", "workers", "threads", "engine"})

    towers: str = Field("minilm-lite", description="a name of `med3dinsight towers`")
    captioner: str = Field("tissue", description="whose texts to embed")
    model: str = Field("", description="folder of the model of towers that need one, such as clip")
    hub: bool = Field(False, description="look a model that is no folder up at the hub, and fetch it once")
    name: str = Field("", pattern=r"^[A-Za-z0-9._-]*$", description="folder of the features; empty = the towers' name")
    projection: Literal["whitened", "tuned", "none"] = Field(
        "whitened",
        description="fixed whitened projections, tuning on the slice/text pairs, or the towers' own joint space",
    )
    tuning: Literal["auto", "linear", "projections", "lora", "full"] = Field(
        "auto",
        description="what tuning trains: linear maps behind frozen towers, or of towers with a joint space their own "
        "last maps, low-rank adapters or all weights; auto = full for these, linear for others",
    )
    tuning_rate: float | None = Field(None, gt=0, le=1, description="learning rate of towers; empty = by tuning")
    tuning_batch: int = Field(64, ge=2, description="pairs a step when towers are tuned, all of different texts")
    tuning_rank: int = Field(8, ge=1, description="rank of the adapters of lora")
    width: int = Field(128, ge=2, le=1024, description="width of the projected features")
    tuning_steps: int = Field(300, ge=1, description="optimiser steps of tuning")
    held_out: tuple[str, ...] = Field((), description="subjects that the projections must not be fitted on")
    when: Literal["all", "drawn"] = Field(
        "all", description="compute features of all slices now, or of drawn ones when pre-training draws them"
    )
    sample: int = Field(4096, ge=256, description='slices that the projections are fitted on where when = "drawn"')
    seed: int = Field(0, ge=0, description="seed of the tuning batches, and of the sample")
    engine: Literal["local", "ray"] = Field("local", description="local: this machine; ray: a Ray cluster")
    workers: int = Field(1, ge=0, le=1024, description="processes that embed; 0: one a core")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    threads: int = Field(0, ge=0, description="threads of this process, 0 = all")

    @field_validator("name")
    @classmethod
    def _stays_inside(cls, name: str) -> str:
        if name.startswith("."):
            raise ValueError("the name of a folder must not start with a dot")
        return name

    @property
    def folder(self) -> str:
        """Name of the folder under ``features/``; towers tuned on a captioner's texts are towers of their own."""
        return self.name or (f"{self.towers}-tuned-{self.captioner}" if self.tunes_towers else self.towers)

    @property
    def tuned(self) -> str:
        """What is trained: "linear", "projections", "lora" or "full"; empty where nothing is tuned."""
        if self.projection != "tuned":
            return ""
        return self.tuning if self.tuning != "auto" else "full" if self.tunes_towers else "linear"

    @property
    def tunes_towers(self) -> bool:
        """Whether weights of the towers are trained, and not only maps behind them."""
        entry = TOWERS.get(self.towers)
        return self.projection == "tuned" and self.tuning != "linear" and entry is not None and entry.joint

    def identity(self) -> dict[str, Any]:
        """Returns the settings that decide the result; where a model lies does not, what it holds is hashed apart."""
        left_out = {"model", "hub", "name"} | ({"when", "sample"} if self.when == "all" else set())
        if not self.tunes_towers:
            left_out |= {"tuning", "tuning_rate", "tuning_batch", "tuning_rank"}
        return {key: value for key, value in super().identity().items() if key not in left_out}
