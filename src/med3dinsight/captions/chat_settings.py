"""Settings of asking a chat model: which one, where, how, and at what cost; part of the table ``[caption]``."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from ..config import StageConfig


class ChatSettings(StageConfig):
    """How a chat model is asked about slices.

    There is no setting for a key: it is read from the environment, and written nowhere.
    """

    #: Settings that change the question, and so the answer; the others change where and how fast.
    deciding: ClassVar[tuple[str, ...]] = ("model", "prompt", "temperature", "max_tokens", "picture_size", "reasons")

    model: str = Field("", description="openai: the model's name at the endpoint; local: a folder, or a name with hub")
    base_url: str = Field("", description="openai: address of the endpoint, such as http://127.0.0.1:8000/v1")
    key_env: str = Field(
        "OPENAI_API_KEY", min_length=1, description="name of the environment variable that holds the endpoint's key"
    )
    prompt: str = Field(
        "", description="a prompt of the package, or the path of a prompt file; left out: what suits the model"
    )
    temperature: float = Field(0.0, ge=0, le=2, description="randomness of the answer; 0: the likeliest words")
    max_tokens: int = Field(300, ge=16, le=8192, description="longest answer, thoughts included")
    reasons: bool = Field(
        False,
        description="openai: the model thinks before it answers, and takes max_completion_tokens and no temperature",
    )
    picture_size: int | None = Field(
        None,
        ge=64,
        le=2048,
        description="edge of the picture that is shown, in pixels; more may cost more; left out: what suits the model",
    )
    concurrency: int = Field(16, ge=1, le=1024, description="requests at a time, at most, of all processes together")
    timeout_seconds: float = Field(120.0, gt=0, le=3600, description="longest wait for one answer")
    budget_usd: float | None = Field(None, gt=0, description="never more than this is spent, in USD, earlier runs too")
    prices: Path | None = Field(None, description="TOML file with the prices of models; without it costs are unknown")
    allow_remote: bool = Field(False, description="slices may leave this machine; needs a policy")
    policy: Path | None = Field(None, description="TOML file that says who allowed it, for which data and endpoint")
    hub: bool = Field(False, description="local: the model may be downloaded by name")
    device: str = Field("auto", description="local: auto, cpu, cuda or cuda:N")

    @property
    def always_same(self) -> bool:
        """Whether the model gives the same answer to the same question."""
        return self.temperature == 0 and not self.reasons
