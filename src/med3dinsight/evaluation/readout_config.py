"""Settings of the read-outs of pre-trained encoders; the tables ``[localize]`` and ``[probe]`` of a study."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..config import StageConfig


class LocalizeConfig(StageConfig):
    """Which pre-training runs to ask where slices of unseen people lie."""

    section: ClassVar[str] = "localize"

    arms: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        default_factory=dict, description="arm = its pre-training runs (seeds); empty: every run an arm"
    )
    controls: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="arm = runs that were pre-trained on shuffled captions"
    )
    people: tuple[str, ...] = Field((), description="people to be located in; empty: those no run has seen")
    match: Literal["both", "image", "text"] = Field("both", description="features of a slice that are looked for")
    max_crops: int = Field(40, ge=2, description="crops a person in the gallery")
    seed: int = Field(0, ge=0, description="seed of the wrong volumes")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    threads: int = Field(0, ge=0, description="threads of this process, 0 = all")


class ProbeConfig(StageConfig):
    """Which frozen encoders to read tissue classes out of, with a linear classifier on voxel features."""

    section: ClassVar[str] = "probe"

    runs: tuple[str, ...] = Field((), description="pre-training runs; empty: all")
    random_inits: int = Field(5, ge=1, le=50, description="random encoders that are the baseline")
    classes: dict[str, tuple[str | int, ...]] = Field(
        min_length=2, description="class name = list of label names (globs) or label values; two or more"
    )
    train: tuple[str, ...] = Field(min_length=1, description="subjects whose voxels train the classifier")
    test: tuple[str, ...] = Field(min_length=1, description="subjects it is tested on")
    voxels_per_class: int = Field(400, ge=10, description="voxels drawn a class and case")
    seed: int = Field(0, ge=0, description="seed of the drawn voxels and of the random encoders")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    threads: int = Field(0, ge=0, description="threads of this process, 0 = all")
