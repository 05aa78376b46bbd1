"""Settings of fine-tuning; the table ``[finetune]`` of a study."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from ..config import StageConfig
from ..encoders.file_kinds import SUFFIXES

#: Settings that a recipe brings with it; what is given goes before.
RECIPE_SETTINGS: dict[str, dict[str, float]] = {
    "nnunet": {
        "learning_rate": 0.01,
        "weight_decay": 3e-5,
        "warmup_steps": 0,
        "gradient_clip": 12.0,
        "foreground_share": 0.33,
    }
}


class FinetuneConfig(StageConfig):
    """What to train on labels, from which weights, for how long."""

    section: ClassVar[str] = "finetune"
    #: The table of labels counts by what it says, not by where it lies.
    machine_settings: ClassVar[frozenset[str]] = frozenset(
        {"device", "workers", "threads", "table", "checkpoint_every"}
    )

    run: str | None = Field(
        None, pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", description="name of the model folder; ARM-sSEED when left out"
    )
    arm: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$",
        description="arm that the model counts for; the init's name when left out",
    )
    task: Literal["segmentation", "classification"] = Field("segmentation", description="what is learned")
    init: str = Field(
        "scratch", description="scratch, a pre-training run, a file of weights, or published weights by name"
    )
    network: str | None = Field(
        None, description="a name of `med3dinsight networks`; left out: the init's encoder, conv_tiny from scratch"
    )
    classes: dict[str, tuple[str | int, ...]] = Field(
        default_factory=dict,
        validate_default=True,
        description="segmentation: class name = list of label names (globs such as lung_*) or label values",
    )
    table: str | None = Field(
        None,
        validate_default=True,
        description="classification: CSV or TSV file with the columns image, label, subject, and split if you like",
    )
    class_weights: Literal["equal", "balanced"] = Field(
        "equal", description="classification: weights in the loss; balanced = inverse to a class's training cases"
    )
    volume_input: Literal["resize", "crop"] = Field(
        "resize",
        description="classification of native volumes: resize = padded to a cube and resized to patch_size; "
        "crop = patch_size voxels around the centre; cubes are taken whole",
    )
    recipe: Literal["default", "nnunet"] = Field(
        "default",
        description="nnunet: nnU-Net's SGD, poly schedule, loss, deep supervision and augmentation (segmentation)",
    )
    freeze_encoder: bool = Field(False, description="linear probing: the encoder keeps its weights, the rest learns")
    train: tuple[str, ...] = Field(
        (), description="training subjects; empty: all others, or with nobody to test either, a split 7:1:2 by subject"
    )
    validation: tuple[str, ...] = Field((), description="validation subjects, may be empty")
    test: tuple[str, ...] = Field((), description="test subjects, predicted at the end")
    seed: int = Field(0, ge=0, description="seed of weights, draws and augmentation")
    folds: int = Field(0, ge=0, description="cross-validation: parts the people into so many folds; 0 splits 7:1:2")
    fold: int = Field(0, ge=0, description="the fold that is tested, counted from 0; all others train")
    split_seed: int = Field(0, ge=0, description="seed of the 7:1:2 split, and of the folds")
    patch_size: int = Field(64, ge=8, description="edge of the network's input in voxels; cubes are taken whole")
    steps: int = Field(300, ge=1, description="optimiser steps")
    batch_size: int = Field(2, ge=1, description="crops, or whole volumes, a step")
    learning_rate: float = Field(3e-3, gt=0, le=1, description="peak learning rate of AdamW; nnunet: of SGD, 0.01")
    weight_decay: float = Field(0.01, ge=0, le=1, description="weight decay; nnunet: 3e-5")
    warmup_steps: int = Field(10, ge=0, description="steps of linear warm-up; nnunet has none")
    gradient_clip: float = Field(1.0, gt=0, description="largest global gradient norm; nnunet: 12")
    foreground_share: float = Field(
        0.67, ge=0, le=1, description="share of crops centred on a voxel of a drawn class; nnunet: 0.33"
    )
    contrast_augmentation: float = Field(
        0.5, ge=0, le=1, description="strength of random contrast curves, 0 = off; nnunet has its own augmentation"
    )
    overlap: float = Field(0.5, ge=0, lt=1, description="overlap of sliding windows when predicting")
    checkpoint_every: int = Field(50, ge=1, description="steps between checkpoints")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    threads: int = Field(0, ge=0, description="threads of this process, 0 = all")

    @model_validator(mode="before")
    @classmethod
    def _of_the_recipe(cls, values: Any) -> Any:
        return {**RECIPE_SETTINGS.get(str(values.get("recipe")), {}), **values} if isinstance(values, dict) else values

    @field_validator("classes")
    @classmethod
    def _classes_of_the_task(cls, value: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if info.data.get("task") == "classification" and value:
            raise ValueError("classification takes its classes from finetune.table")
        if info.data.get("task") == "segmentation" and not value:
            raise ValueError("segmentation needs at least one class")
        return value

    @field_validator("table")
    @classmethod
    def _table_of_the_task(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("task") == "classification" and not value:
            raise ValueError("classification needs a table of labels")
        if info.data.get("task") == "segmentation" and value:
            raise ValueError("segmentation learns from label maps, and takes no table")
        return value

    @field_validator("recipe")
    @classmethod
    def _recipe_of_the_task(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("task") == "classification" and value == "nnunet":
            raise ValueError("nnU-Net's recipe is for segmentation")
        return value

    @property
    def arm_name(self) -> str:
        """The arm that the model counts for."""
        name = self.init.rsplit("/", 1)[-1]
        return self.arm or (name.rsplit(".", 1)[0] if name.endswith(SUFFIXES) else name)

    @property
    def run_name(self) -> str:
        """Name of the model folder."""
        return self.run or f"{self.arm_name}-s{self.seed}"
