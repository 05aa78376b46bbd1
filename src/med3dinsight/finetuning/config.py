"""Settings of fine-tuning; the table ``[finetune]`` of a study."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ..config import StageConfig


class FinetuneConfig(StageConfig):
    """What to train on labels, from which weights, for how long."""

    section: ClassVar[str] = "finetune"

    run: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", description="name of the model folder; ARM-sSEED when left out"
    )
    arm: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$",
        description="arm that the model counts for; the init's name when left out",
    )
    task: Literal["segmentation", "classification"] = Field("segmentation", description="what is learned")
    init: str = Field("scratch", description="scratch, the name of a pre-training run, or a .safetensors file")
    network: str | None = Field(
        None, description="a name of `med3dinsight networks`; left out: the init's encoder, conv_tiny from scratch"
    )
    classes: dict[str, tuple[str | int, ...]] = Field(
        min_length=1, description="class name = list of label names (globs such as lung_*) or label values"
    )
    train: tuple[str, ...] = Field(
        (), description="training subjects; empty: all others, or with nobody to test either, a split 7:1:2 by subject"
    )
    validation: tuple[str, ...] = Field((), description="validation subjects, may be empty")
    test: tuple[str, ...] = Field((), description="test subjects, predicted at the end")
    seed: int = Field(0, ge=0, description="seed of weights, draws and augmentation")
    split_seed: int = Field(0, ge=0, description="seed of the 7:1:2 split")
    patch_size: int = Field(64, ge=8, description="edge of training crops in voxels; cubes are taken whole")
    steps: int = Field(300, ge=1, description="optimiser steps")
    batch_size: int = Field(2, ge=1, description="crops a step")
    learning_rate: float = Field(3e-3, gt=0, le=1, description="peak learning rate of AdamW")
    weight_decay: float = Field(0.01, ge=0, le=1, description="AdamW weight decay")
    warmup_steps: int = Field(10, ge=0, description="steps of linear warm-up")
    gradient_clip: float = Field(1.0, gt=0, description="largest global gradient norm")
    foreground_share: float = Field(0.67, ge=0, le=1, description="share of crops centred on a voxel of a drawn class")
    contrast_augmentation: float = Field(0.5, ge=0, le=1, description="strength of random contrast curves, 0 = off")
    overlap: float = Field(0.5, ge=0, lt=1, description="overlap of sliding windows when predicting")
    checkpoint_every: int = Field(50, ge=1, description="steps between checkpoints")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    threads: int = Field(0, ge=0, description="threads of this process, 0 = all")

    @property
    def arm_name(self) -> str:
        """The arm that the model counts for."""
        return self.arm or self.init.rsplit("/", 1)[-1].removesuffix(".safetensors")

    @property
    def run_name(self) -> str:
        """Name of the model folder."""
        return self.run or f"{self.arm_name}-s{self.seed}"
