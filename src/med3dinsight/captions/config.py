"""Settings of captioning; the table ``[caption]`` of a study."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ..errors import suggest
from .chat_settings import ChatSettings
from .registry import CAPTIONERS, CaptionerEntry, find_captioners

#: Settings that only the sampling "informative" reads.
_INFORMATIVE = ("least_body", "most_alike")


class CaptionConfig(ChatSettings):
    """Which slices get a text, and from which captioner.

    All captioners of a workspace describe the same slices: other slice settings replace the slice table.
    """

    section: ClassVar[str] = "caption"
    machine_settings: ClassVar[frozenset[str]] = frozenset({"engine", "workers", "sample", "existing", "reports"}) | (
        frozenset(ChatSettings.model_fields) - frozenset(ChatSettings.deciding)
    )

    captioner: str = Field("tissue", description="who writes: a name of `med3dinsight captioners`")
    name: str = Field(
        "", description="name that the texts are kept under, so that two models can be compared; the captioner's own"
    )
    existing: Path | None = Field(
        None, description="imported: CSV, TSV or Parquet file with the columns text, and key or case, plane, index"
    )
    sample: int | None = Field(
        None, ge=1, description="write so many texts, spread over all slices, and stop: to look at them first"
    )
    engine: Literal["local", "ray"] = Field("local", description="local: this machine; ray: a Ray cluster")
    workers: int = Field(1, ge=0, le=1024, description="processes that describe slices; 0: one a core")
    shuffle_of: str = Field("tissue", description="whose texts `shuffled` deals out; caption with it first")
    held_out: tuple[str, ...] = Field((), description="anatomy: subjects whose label maps must not become texts")
    reports: Path | None = Field(
        None, description="report: CSV, TSV or Parquet file with the columns report, and subject, case or image"
    )
    report_text: Literal["sentence", "whole"] = Field(
        "sentence", description="report: each slice gets one sentence, or the beginning of the whole report"
    )
    report_words: int = Field(60, ge=4, le=2000, description="report: most words of a text; longer sentences are cut")
    report_least_words: int = Field(3, ge=1, description="report: shorter sentences are joined to the next one")
    beside: str = Field("", description="report: captioner whose text stands in front of the report's; empty: none")
    seed: int = Field(0, ge=0, description="of the crops that are drawn, of the shuffling and of dealing sentences")
    crop_size: int = Field(64, ge=8, le=512, description="edge of a crop in voxels (native protocol)")
    crops_per_volume: int = Field(40, ge=1, le=10_000, description="different crops a volume (native protocol)")
    sampling: Literal["uniform", "informative"] = Field(
        "uniform",
        description="uniform: equally spaced slices; informative: none that shows next to no body, none like the one "
        "before it in its plane",
    )
    positions_per_plane: int | tuple[int, int, int] = Field(
        16, description="slices of a crop in each plane, 1 to 512; or three counts: axial, coronal, sagittal"
    )
    least_body: float = Field(0.1, ge=0, le=1, description="informative: least share of body in a slice")
    most_alike: float = Field(
        0.97, gt=0, le=1, description="informative: slices that follow each other correlate less than this"
    )

    @field_validator("captioner")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in CAPTIONERS and value not in (names := find_captioners()):
            raise ValueError(f"no captioner of that name; {suggest(value, names)}")
        return value

    @field_validator("name")
    @classmethod
    def _a_folder(cls, value: str, info: ValidationInfo) -> str:
        if value and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
            raise ValueError("a name has letters, digits, dots, dashes and underscores, 64 at most")
        if ".sqlite" in value or value.endswith((".json", ".jsonl")):
            raise ValueError("that could be the name of a file of the workspace")
        if value in CAPTIONERS and value != info.data.get("captioner"):
            raise ValueError("that is the name of another captioner")
        return value

    @field_validator("existing")
    @classmethod
    def _for_imports(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("captioner") != "imported":
            raise ValueError('only the captioner "imported" reads it')
        return value

    @field_validator("shuffle_of")
    @classmethod
    def _written(cls, value: str) -> str:
        if value in CAPTIONERS and CAPTIONERS[value].way == "dealt":
            raise ValueError("its texts are dealt out already; name the captioner that wrote them")
        return value

    @field_validator("beside")
    @classmethod
    def _not_itself(cls, value: str, info: ValidationInfo) -> str:
        if value and value in (info.data.get("captioner"), info.data.get("name")):
            raise ValueError("its texts cannot stand beside themselves; name another captioner")
        return value

    @field_validator("report_least_words")
    @classmethod
    def _fits(cls, value: int, info: ValidationInfo) -> int:
        if value > info.data.get("report_words", value):
            raise ValueError("a sentence cannot be shorter than least and longer than most")
        return value

    @field_validator("positions_per_plane")
    @classmethod
    def _counts(cls, value: int | tuple[int, int, int]) -> int | tuple[int, int, int]:
        counts = (value,) if isinstance(value, int) else value
        if min(counts) < (0 if len(counts) == 3 else 1) or not 1 <= max(counts) <= 512:
            raise ValueError("a count is 1 to 512; of three counts some may be 0")
        return value

    @field_validator(*_INFORMATIVE)
    @classmethod
    def _read_by_the_sampling(cls, value: float, info: ValidationInfo) -> float:
        if info.data.get("sampling") == "uniform" and value != cls.model_fields[str(info.field_name)].default:
            raise ValueError('only sampling = "informative" reads it')
        return value

    @model_validator(mode="after")
    def _read_by_the_captioner(self) -> CaptionConfig:
        reads = self.entry.reads
        for name in set(ChatSettings.model_fields) - {"device"}:  # a study tells every stage its device
            if name not in reads and getattr(self, name) != type(self).model_fields[name].default:
                readers = [other for other, entry in CAPTIONERS.items() if name in entry.reads]
                text = f"{name} is read by {', '.join(readers)}, not by {self.captioner}"
                raise PydanticCustomError("captioner", text, {"hint": "give --captioner, or leave it out"})
        return self

    @property
    def kept_as(self) -> str:
        """Name of the folder, and of the texts in the ledger."""
        return self.name or self.captioner

    @property
    def entry(self) -> CaptionerEntry:
        """The captioner's entry of the registry."""
        return CAPTIONERS[self.captioner] if self.captioner in CAPTIONERS else find_captioners()[self.captioner]

    def asked_with(self) -> dict[str, Any]:
        """Returns all that makes the same slice another question to this chat model.

        Raises:
            ConfigError: There is no such model or prompt.
        """
        from .models.choosing import choose

        return choose(self, in_process=not self.entry.over_http).asked_with(self)

    @property
    def texts_from(self) -> str:
        """Name of the captioner whose texts are read; "" for none."""
        return {"dealt": self.shuffle_of, "reports": self.beside}.get(self.entry.way, "")

    def slice_settings(self) -> dict[str, Any]:
        """Returns the settings that decide which uniform slices there are."""
        return self.model_dump(include={"seed", "crop_size", "crops_per_volume", "positions_per_plane"})

    def identity(self) -> dict[str, Any]:
        """Returns the settings that decide the result; ``shuffle_of`` matters to ``shuffled`` alone."""
        identity = super().identity()
        for name in self.deciding:
            identity.pop(name)
        if self.entry.way == "chat":
            identity.update(self.asked_with())
        if not self.name:
            identity.pop("name")
        if self.sampling == "uniform":
            for name in ("sampling", *_INFORMATIVE):
                identity.pop(name)
        if self.entry.way != "reports":
            for name in ("report_text", "report_words", "report_least_words", "beside"):
                identity.pop(name)
        if not self.entry.needs_labels:
            identity.pop("held_out")
        if self.captioner != "shuffled":
            identity.pop("shuffle_of")
        return identity
