"""Settings of a pre-training run; the table ``[pretrain]`` of a study."""

from __future__ import annotations

from dataclasses import fields
from typing import ClassVar, Literal

from pydantic import Field

from ..config import StageConfig
from .recipes import Decayed, Optimizer, Recipe, Schedule

#: Losses that align answers with 2D features; ``losses.alignment`` builds them.
Alignment = Literal["infonce", "sigmoid", "ot", "partial-ot", "weighted-partial-ot", "transport-cost"]


class PretrainConfig(StageConfig):
    """What to pre-train, on whom, for how long.

    A choice that is left out takes the method's preset. A setting that the method does not read is refused when it
    is set; ``med3dinsight pretrain --dry-run`` shows those that it reads.
    """

    section: ClassVar[str] = "pretrain"
    #: Looking at a run and saving its state change nothing of what it learns.
    machine_settings: ClassVar[frozenset[str]] = frozenset(
        {"device", "workers", "threads", "tensorboard", "checkpoint_every", "readout_every", "watch", "watch_classes"}
    )

    # What is trained, and on whom.
    run: str = Field(
        "insight", pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$", description="name of the run and of its folder"
    )
    encoder: str = Field("conv_tiny", description="a name of `med3dinsight encoders`")
    method: str = Field("insight", description="a name of `med3dinsight methods`")
    init: str | None = Field(None, description="weights that the encoder starts from: a file; left out: random")
    captioner: str = Field("tissue", description="whose texts to match")
    towers: str = Field("minilm-lite", description="whose 2D features to match")
    held_out: tuple[str, ...] = Field((), description="subjects that pre-training must not see")
    seed: int = Field(0, ge=0, description="seed of weights, draws and augmentation")

    # The loop.
    steps: int = Field(1000, ge=1, description="optimiser steps")
    batch_volumes: int | None = Field(None, ge=1, description="crops (or cubes) a step")
    micro_batch: int | None = Field(
        None,
        ge=1,
        description="crops encoded at a time, for little memory; the gradient stays that of the batch, where networks "
        "drop units or paths that of a batch of other masks",
    )
    optimizer: Optimizer | None = Field(None, description="adamw, or adam (weight decay in the gradient)")
    learning_rate: float | None = Field(None, gt=0, le=1, description="peak learning rate")
    weight_decay: float | None = Field(None, ge=0, le=1, description="weight decay")
    decayed: Decayed | None = Field(
        None, description="matrices (neither norms and biases nor queries, tokens and position tables), or all"
    )
    schedule: Schedule | None = Field(None, description="after warm-up: cosine to 0, or constant")
    warmup_steps: int | None = Field(None, ge=0, description="steps of linear warm-up, 0 = none")
    gradient_clip: float | None = Field(None, ge=0, description="largest global gradient norm, 0 = any")
    ema_decay: float = Field(
        0.0, ge=0, lt=1, description="decay of averaged weights, which are kept and watched; 0 = off"
    )
    precision: Literal["auto", "fp32"] = Field("auto", description="auto = bf16 where the device has it")
    checkpoint_every: int = Field(50, ge=1, description="steps between checkpoints")

    # What a step sees.
    slices_per_volume: int | None = Field(None, ge=1, description="K, slices asked of each volume a step")
    crop_size: int = Field(64, ge=8, le=512, description="edge of crops in voxels where no slices have been captioned")
    crops_per_volume: int = Field(40, ge=1, description="crops a volume where no slices have been captioned")
    contrast_augmentation: float | None = Field(
        None, ge=0, le=1, description="strength of random contrast curves, 0 = off"
    )
    shift_voxels: int = Field(0, ge=0, description="largest random shift of a crop against its slices, in voxels")
    match: Literal["both", "image", "text"] = Field("both", description="2D features that PSAT matches")
    no_text: bool = Field(False, description="control: the same method without texts")
    shuffled_pairs: bool = Field(
        False, description="control: each slice gets the image and text of one of another crop"
    )
    wrong_texts: float = Field(0.0, ge=0, le=1, description="share of slices that get a text that is not theirs")

    # The alignment loss.
    alignment: Alignment | None = Field(None, description="loss between answers and 2D features")
    temperature: float | None = Field(
        None, gt=0, le=10, description="temperature of contrastive losses, or where it starts"
    )
    learn_temperature: bool = Field(False, description="learn the temperature (infonce; sigmoid always does)")
    metric: Literal["euclidean", "diagonal", "psd"] | None = Field(None, description="ground metric of transport")
    ot_regularization: float = Field(0.03, gt=0, le=10, description="entropic regularisation of transport")
    ot_mass: float = Field(0.95, gt=0, le=1, description="share of the mass that partial transport moves")

    ot_iterations: int = Field(
        200, ge=0, description="iterations of the transport solver, unrolled; 0 = its optimum, implicit gradient"
    )

    # PSAT.
    psat_module: Literal["linear", "queries", "plane_slice"] | None = Field(
        None, description="linear projection (Ex1), query transformer (Ex2), with plane and slice (Ex3)"
    )
    num_queries: int | None = Field(None, ge=1, description="learnable queries of PSAT")
    psat_width: int | None = Field(None, ge=8, description="width of PSAT")
    psat_layers: int | None = Field(None, ge=1, description="decoder layers of PSAT")
    psat_heads: int | None = Field(None, ge=1, description="attention heads of PSAT")
    psat_dropout: float | None = Field(None, ge=0, lt=1, description="dropout inside PSAT")
    ffn_width: int | None = Field(None, ge=1, description="hidden width of PSAT's MLP")
    distance_bias: bool | None = Field(None, description="bias attention by the distance to the slice's plane")
    pooling: Literal["mean", "first", "attention"] | None = Field(
        None, description="how query outputs become one vector"
    )
    position_init: Literal["zero", "normal"] | None = Field(None, description="initial position table")
    positions: Literal["interpolated", "table"] | None = Field(None, description="how a position is looked up")

    # Reconstruction, text-informed learning and the peers.
    reconstruction: Literal["none", "plain", "masked"] | None = Field(
        None, description="beside the alignment: rebuild the input, or its masked blocks"
    )
    reconstruction_weight: float = Field(1.0, ge=0, description="weight of reconstruction or restoration")
    mask_ratio: float | None = Field(None, gt=0, lt=1, description="share of blocks that is masked")
    mask_block: int | None = Field(None, ge=2, description="edge of a masked block in voxels")
    text_dropout: float = Field(0.5, ge=0, le=1, description="t3d: share of volumes whose text is left out")
    teacher_momentum: float | None = Field(None, ge=0, lt=1, description="moco, dino: momentum of the teacher")
    projection_width: int = Field(128, ge=8, description="width of the projections that peers contrast")
    normalized_targets: bool = Field(False, description="mae: rebuild patches brought to mean 0 and variance 1")
    local_views: int = Field(0, ge=0, description="dino: views of half the edge that the student also sees")

    # Looking while training.
    readout_every: int = Field(0, ge=0, description="steps between read-outs on the watched people; 0 = off")
    watch: tuple[str, ...] = Field((), description="held-out subjects on whom read-outs look while training")
    watch_classes: dict[str, tuple[str | int, ...]] = Field(
        default_factory=dict, description="class name = label names or values: adds a probe of frozen voxel features"
    )
    tensorboard: bool = Field(False, description="also write the log for TensorBoard (extra `tensorboard`)")

    # The machine.
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    threads: int = Field(0, ge=0, description="threads of this process, 0 = all")

    @property
    def recipe(self) -> Recipe:
        """How resolved settings optimise."""
        given = {field.name: getattr(self, field.name) for field in fields(Recipe)}
        unresolved = [name for name, value in given.items() if value is None]
        assert not unresolved, f"settings are resolved before they are used: {unresolved}"
        return Recipe(**given)
