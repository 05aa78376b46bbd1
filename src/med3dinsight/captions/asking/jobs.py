"""What is asked about a slice, what became of it, and what became of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
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
        left: Slices for a later run: not asked for want of budget, given up for now, or waiting.
        waiting: How many of these are left because their question waits in a batch file, by the folder of the files.
        requests_sent: Requests of this run, with those that were tried or asked again.
        cost_usd: What this run cost, with what may have been paid for nothing.
        in_doubt_usd: What runs so far may have paid for without an answer; asking leaves it to whoever has the ledger.
        stopped: Why it ended early: "budget", or "" where it did not.
    """

    answered: int = 0
    quarantined: int = 0
    refused: int = 0
    cached: int = 0
    left: int = 0
    waiting: Counter[str] = field(default_factory=Counter)
    requests_sent: int = 0
    cost_usd: float = 0.0
    in_doubt_usd: float = 0.0
    stopped: str = ""

    def leave_waiting(self, places: Iterable[str]) -> None:
        """Counts slices whose question waits in a batch file, a place each."""
        before = self.waiting.total()
        self.waiting.update(places)
        self.left += self.waiting.total() - before

    def count(self, answer: Answer) -> None:
        """Counts a slice."""
        setattr(self, answer.status, getattr(self, answer.status) + 1)
