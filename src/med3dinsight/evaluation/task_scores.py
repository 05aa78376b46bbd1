"""What scoring the runs of one task leaves, whichever task it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Format of the files of scores.
FORMAT_VERSION = 1


@dataclass(frozen=True)
class TaskScores:
    """Where the scores of one task are, and what they compare.

    Attributes:
        scores: Path of the file.
        comparisons: Its comparisons.
        done_before: Whether it was complete already.
    """

    scores: str
    comparisons: list[dict[str, Any]]
    done_before: bool = False
