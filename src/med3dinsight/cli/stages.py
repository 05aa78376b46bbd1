"""Calls one stage for its verb: progress, ``--dry-run``, and the reply."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .progress import watching_one
from .replies import Reply, plain

if TYPE_CHECKING:
    from ..config import StageConfig
    from ..jobs import Job, StageFunction


def stage_reply(
    verb: str,
    function: StageFunction,
    settings: StageConfig,
    work: Path,
    *,
    say: Callable[[dict[str, Any]], str],
    dry_run: bool = False,
    create: bool = False,
    forecast: Callable[[Any, Any], dict[str, Any]] | None = None,
    say_forecast: Callable[[dict[str, Any]], list[str]] | None = None,
    say_left_out: Callable[[list[dict[str, Any]]], list[str]] | None = None,
    resolved: Callable[[Any], dict[str, Any]] | None = None,
) -> Reply:
    """Runs a stage, or says what it would do.

    Args:
        verb: Name of the verb.
        function: The stage's ``run``.
        settings: Its settings.
        work: The workspace folder.
        say: Turns the result into a line for people.
        dry_run: Only look.
        create: Make the workspace where it does not exist.
        forecast: Tells, for a dry run, what the stage would take, such as ``{"peak_memory_bytes"}``; refuses what the
            stage would refuse. The workspace is None where the stage would make it.
        say_forecast: Turns a forecast into lines for people, beside that of memory.
        say_left_out: Turns the files that were left out into lines; default: a line each.
        resolved: Tells, for a dry run, the settings that the stage goes by, where that are others than are set.
    """
    from ..jobs import Job
    from ..workspace import Workspace

    job = Job(verb, verb, function, settings)
    if dry_run:
        return _look(job, work, create, forecast, say_forecast, resolved)
    is_new = create and not (work / "workspace.json").exists()
    workspace = Workspace(work, create=create)
    try:
        with watching_one(verb) as progress:
            result = plain(job.run(workspace, progress))
    except UserError:
        if is_new:
            workspace.discard_if_empty()
        raise
    lines = [say(result)]
    if result.get("done_before"):
        lines.append("it was complete already; nothing was done")
    left_out = result.get("left_out", [])
    lines += [left_out_line(item) for item in left_out] if say_left_out is None else say_left_out(left_out)
    return Reply(result, tuple(lines))


def _look(
    job: Job,
    work: Path,
    create: bool,
    forecast: Callable[[Any, Any], dict[str, Any]] | None,
    say_forecast: Callable[[dict[str, Any]], list[str]] | None,
    resolved: Callable[[Any], dict[str, Any]] | None,
) -> Reply:
    from ..workspace import Workspace

    done_before, workspace = False, None
    if not create or (work / "workspace.json").exists():
        workspace = Workspace(work)
        with contextlib.suppress(FileNotFoundError):
            done_before = job.earlier_result(workspace) is not None
    settings = job.config.model_dump(mode="json") if resolved is None else resolved(job.config)
    result = {"dry_run": True, "stage": job.stage, "done_before": done_before, "settings": settings}
    verdict = "is complete; nothing would be done" if done_before else "would run"
    lines = [f"{job.stage} {verdict}", *(f"  {job.stage}.{name} = {value}" for name, value in settings.items())]
    if forecast is not None and (workspace is not None or create) and not done_before:
        told = forecast(job.config, workspace)
        result["forecast"] = told
        if "peak_memory_bytes" in told:
            lines.append(f"forecast: {told['peak_memory_bytes'] / 2**20:.0f} MiB of memory at its peak")
        lines += [] if say_forecast is None else say_forecast(told)
    return Reply(result, tuple(lines))


def left_out_line(item: dict[str, Any]) -> str:
    """Says which file was left out and why."""
    return f"left out: {item['file']}: {item['reason']} ({item['hint']})"
