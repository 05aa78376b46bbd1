"""Settings of embedding; the table ``[embed]`` of a study."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..config import StageConfig


class EmbedConfig(StageConfig):
    """Which towers see which texts, and how their features become the targets of pre-training."""

    section: ClassVar[str] = "embed"

    towers: str = Field("minilm-lite", description="a name of `med3dinsight towers`")
    captioner: str = Field("tissue", description="whose texts to embed")
    projection: Literal["whitened", "tuned"] = Field(
        "whitened", description="fixed whitened projections, or ones tuned contrastively on the slice/text pairs"
    )
    width: int = Field(128, ge=2, le=1024, description="width of the projected features")
    tuning_steps: int = Field(300, ge=1, description="optimiser steps of tuned projections")
    held_out: tuple[str, ...] = Field((), description="subjects that the projections must not be fitted on")
    seed: int = Field(0, ge=0, description="seed of the tuning batches")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    threads: int = Field(0, ge=0, description="threads of this process, 0 = all")
