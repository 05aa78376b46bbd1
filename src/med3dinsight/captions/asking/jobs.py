"""What is asked about a slice, what became of it, and what became of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ...workspace.answer_ledger import Answer


@dataclass(frozen=True)
class Job:
    """One slice to ask about.

    Attributes:
        slice_key: Its name in the caption ledger.
        fingerprint: Of all that decides its request: voxels, crop, plane, renderer, prompt, model, parameters. A slice
            whose fingerprint is answered is not rendered.
        body: Renders it and returns the chat-completions body. It is called in another thread, one at a time.
        plane: "axial", "coronal" or "sagittal"; "" where texts are not to be checked for it.
        modality: "CT" or "MR"; the same.
    """

    slice_key: str
    fingerprint: str
    body: Callable[[], Mapping[str, Any]]
    plane: str = ""
    modality: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of one slice.

    Attributes:
        slice_key: Its name in the caption ledger.
        answer: Durable in the answer ledger.
    """

    slice_key: str
    answer: Answer


class Description(Protocol):
    """A readable answer, as :func:`~med3dinsight.captions.prompts.answer.parse_answer` returns it."""

    @property
    def text(self) -> str:
        """What training reads."""
        ...

    @property
    def plane(self) -> str:
        """What the model thinks the plane is."""
        ...

    @property
    def modality(self) -> str:
        """What the model thinks the modality is."""
        ...


@dataclass
class Asked:
    """What became of all slices.

    Attributes:
        answered: Slices that have a text.
        quarantined: Slices whose answers could not be read.
        refused: Slices that the server will not describe.
        cached: How many of these three were in the ledger before.
        left: Slices for a later run: not asked for want of budget, or given up for now.
        requests_sent: Requests of this run, with those that were tried or asked again.
        cost_usd: What this run cost, with what may have been paid for nothing.
        stopped: Why it ended early: "budget", or "" where it did not.
    """

    answered: int = 0
    quarantined: int = 0
    refused: int = 0
    cached: int = 0
    left: int = 0
    requests_sent: int = 0
    cost_usd: float = 0.0
    stopped: str = ""

    def count(self, answer: Answer) -> None:
        """Counts a slice."""
        setattr(self, answer.status, getattr(self, answer.status) + 1)
