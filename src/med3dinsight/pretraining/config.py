"""Settings of a pre-training run; the table ``[pretrain]`` of a study."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..config import StageConfig


class PretrainConfig(StageConfig):
    """What to pre-train, on whom, for how long. A PSAT choice left out takes the method's preset."""

    section: ClassVar[str] = "pretrain"

    run: str = Field(
        "insight", pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", description="name of the run and of its folder"
    )
    encoder: str = Field("conv_tiny", description="a name of `med3dinsight encoders`")
    method: str = Field("insight", description="a name of `med3dinsight methods`")
    captioner: str = Field("tissue", description="whose texts to match")
    towers: str = Field("minilm-lite", description="whose 2D features to match")
    held_out: tuple[str, ...] = Field((), description="subjects that pre-training must not see")
    seed: int = Field(0, ge=0, description="seed of weights, draws and augmentation")
    steps: int = Field(1000, ge=1, description="optimiser steps")
    batch_volumes: int = Field(8, ge=1, description="crops (or cubes) a step")
    slices_per_volume: int | None = Field(None, ge=1, description="K, slices asked of each volume a step")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="peak learning rate of AdamW")
    weight_decay: float = Field(0.05, ge=0, le=1, description="AdamW weight decay")
    warmup_steps: int = Field(20, ge=0, description="steps of linear warm-up")
    gradient_clip: float = Field(1.0, gt=0, description="largest global gradient norm")
    temperature: float = Field(0.07, gt=0, le=10, description="InfoNCE temperature")
    contrast_augmentation: float = Field(0.6, ge=0, le=1, description="strength of random contrast curves, 0 = off")
    shift_voxels: int = Field(0, ge=0, description="largest random shift of a crop against its slices, in voxels")
    match: Literal["both", "image", "text"] = Field("both", description="2D features to match; image = no text")
    shuffled_pairs: bool = Field(False, description="control: each slice gets the image and text of another slice")
    num_queries: int | None = Field(None, ge=1, description="learnable queries of PSAT")
    psat_width: int | None = Field(None, ge=8, description="width of PSAT")
    psat_layers: int | None = Field(None, ge=1, description="decoder layers of PSAT")
    distance_bias: bool | None = Field(None, description="bias attention by the distance to the slice's plane")
    pooling: Literal["mean", "first"] | None = Field(None, description="how query outputs become one vector")
    position_init: Literal["zero", "normal"] | None = Field(None, description="initial position table")
    checkpoint_every: int = Field(50, ge=1, description="steps between checkpoints")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    threads: int = Field(0, ge=0, description="threads of this process, 0 = all")
