"""Settings of a study's own tables: ``[study]``, and ``[[arm]]`` for what is compared."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from ..config import StageConfig


class StudyConfig(StageConfig):
    """The table ``[study]``."""

    section: ClassVar[str] = "study"
    machine_settings: ClassVar[frozenset[str]] = frozenset({"device", "workers"})

    name: str = Field("study", pattern=r"^[A-Za-z0-9._-]+$", description="short name, of the default folder too")
    title: str = Field("", description="title of the report; empty = the name")
    data: str = Field("sample", description='"sample" for the sample scans, or a folder beside the study file')
    test_subjects: tuple[str, ...] = Field((), description="people who are tested and never trained on")
    validation_subjects: tuple[str, ...] = Field((), description="people on whom fine-tuning is watched")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="seeds of fine-tuning, one run each")
    pretraining_seeds: tuple[int, ...] = Field((0,), min_length=1, description="seeds of pre-training, one run each")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N, for all stages that compute")
    workers: int = Field(0, ge=0, description="runs side by side, 0 = one a core, or one where they share a GPU")


class Arm(StageConfig):
    """One ``[[arm]]``: a way to start fine-tuning that is compared with the others."""

    section: ClassVar[str] = "arm"

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$", description="name of the arm")
    init: Literal["pretrain", "scratch"] = Field("pretrain", description="where its weights start")
    captioner: str | None = Field(None, description="whose texts its pre-training matches")
    encoder: str | None = Field(None, description="its 3D encoder")
    method: str | None = Field(None, description="its pre-training method")
    pretrain: dict[str, Any] = Field(default_factory=dict, description="settings of [pretrain] that it changes")
    finetune: bool = Field(True, description="whether it is fine-tuned; a control for localisation need not be")
    control_of: str | None = Field(None, description="the arm whose control it is")
