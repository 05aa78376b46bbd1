"""A job: one call of a stage with one set of settings, and what became of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..config import StageConfig
from ..types import Progress, silent
from ..workspace import Workspace
from ..workspace.provenance import NotDone, look_only

#: ``run(config, workspace, *, progress) -> result``
StageFunction = Callable[..., Any]


@dataclass(frozen=True)
class Job:
    """One call of a stage.

    Attributes:
        name: Unique in the study, shown to the user.
        stage: The verb that does the same.
        function: The stage's ``run``; a function of a module, so that a worker can import it.
        config: The stage's settings.
        after: Names of the jobs whose output it reads.
    """

    name: str
    stage: str
    function: StageFunction
    config: StageConfig
    after: tuple[str, ...] = ()

    def run(self, workspace: Workspace, progress: Progress) -> Any:
        """Calls the stage in this process and returns its result."""
        return self.function(self.config, workspace, progress=progress)

    def earlier_result(self, workspace: Workspace) -> Any | None:
        """Returns the result of an earlier run that is still good, or None; does no work."""
        with look_only(), contextlib.suppress(NotDone):
            return self.run(workspace, silent)
        return None


@dataclass(frozen=True)
class Outcome:
    """What became of a job.

    Attributes:
        job: The job.
        result: What the stage returned.
        start: Seconds from the start of the study to the start of the job.
        seconds: How long it took.
        done_before: It was complete already.
    """

    job: Job
    result: Any
    start: float
    seconds: float
    done_before: bool


def complete_jobs(jobs: Sequence[Job], workspace: Workspace) -> set[str]:
    """Returns the names of jobs that need not be done again; does no work.

    Args:
        jobs: A job stands behind those in its ``after``.
        workspace: Where they would work.
    """
    complete: set[str] = set()
    for job in jobs:
        if complete.issuperset(job.after) and job.earlier_result(workspace) is not None:
            complete.add(job.name)
    return complete


def sum_up(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Sums outcomes up by stage: ``{"stage", "seconds", "done_before"}`` in the order of first appearance.

    ``seconds`` runs from the start of the stage's first job to the end of its last.
    """
    rows = []
    for stage in dict.fromkeys(outcome.job.stage for outcome in outcomes):
        own = [outcome for outcome in outcomes if outcome.job.stage == stage]
        seconds = max(item.start + item.seconds for item in own) - min(item.start for item in own)
        done_before = all(item.done_before for item in own)
        rows.append({"stage": stage, "seconds": round(seconds, 3), "done_before": done_before})
    return rows
