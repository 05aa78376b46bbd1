"""Runs a study for ``demo`` and ``run``, or says what is left of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .progress import watching
from .replies import Reply, plain


def study_reply(
    file: Path,
    overrides: Sequence[str],
    work: Path | None,
    *,
    settings: Path | None = None,
    device: str | None = None,
    dry_run: bool = False,
) -> Reply:
    """Runs a study file in a workspace.

    Args:
        file: The study.
        overrides: Texts of ``--set``.
        work: The workspace folder; None means ``./NAME-work``.
        settings: A file of ``--config`` whose settings go before those of the study.
        device: Device of all stages, or None.
        dry_run: Only say which jobs are complete and which would run.
    """
    from ..config import read_toml
    from ..study import study_from

    document = read_toml(file)
    if settings is not None:
        document = _merge(document, read_toml(settings))
    device_texts = [f"study.device={device}"] if device is not None else []
    study = study_from(document, [*overrides, *device_texts], file.absolute().parent)
    folder = work or Path(f"{study.config.name}-work")
    if dry_run:
        return _look(study, folder)
    from ..pipeline import run_study
    from ..workspace import Workspace

    with watching() as watcher:
        result = plain(run_study(study, Workspace(folder, create=True), watcher))
    lines = [
        _row(row["stage"], "complete already" if row["done_before"] else f"{row['seconds']:.1f} s")
        for row in result["stages"]
    ]
    return Reply(result, (*lines, _row("scores", result["scores"]), _row("report", result["page"])))


def _merge(document: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Puts the keys of another file's tables over a study's; the arms, a list, are replaced."""
    result = dict(document)
    for name, table in other.items():
        both = isinstance(table, Mapping) and isinstance(document.get(name), Mapping)
        result[name] = {**document[name], **table} if both else table
    return result


def _row(name: str, text: Any) -> str:
    return f"{name:10} {text}"


def _look(study: Any, folder: Path) -> Reply:
    from ..jobs import complete_jobs
    from ..pipeline import plan
    from ..workspace import Workspace

    jobs = plan(study, folder.absolute())
    complete = complete_jobs(jobs, Workspace(folder)) if (folder / "workspace.json").exists() else set()
    stages = [
        {
            "stage": stage,
            "seconds": None,
            "done_before": all(job.name in complete for job in jobs if job.stage == stage),
        }
        for stage in dict.fromkeys(job.stage for job in jobs)
    ]
    rows = [{"job": job.name, "stage": job.stage, "done_before": job.name in complete} for job in jobs]
    result = {
        "dry_run": True,
        "workspace": str(folder.absolute()),
        "stages": stages,
        "jobs": rows,
        "page": None,
        "scores": None,
    }
    lines = [f"{'complete' if row['done_before'] else 'would run'}: {row['job']}" for row in rows]
    return Reply(result, tuple(lines))
