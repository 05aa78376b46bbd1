"""``status``: what is done, what is left, what it takes on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import ConfigFile, Json, Overrides, Work
from .progress import watching_one
from .replies import Reply, plain, size
from .settings import no_settings


def status(
    work: Work,
    verify: Annotated[bool, typer.Option("--verify", help="Read every prepared voxel; name what is damaged.")] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> Reply:
    """Shows each stage's state and size; where a study was begun, also which of its runs are left."""
    no_settings("status", overrides)
    from ..workspace import Workspace
    from ..workspace.overview import bytes_on_disk, overview

    workspace = Workspace(work)
    rows = overview(workspace)
    result: dict[str, Any] = {"stages": rows, "bytes": bytes_on_disk(workspace.root)}
    lines = [_line(row) for row in rows]
    lines.append(f"{'all':12}{'':12}{size(result['bytes']):>10}")
    if (workspace.root / "study.json").exists():
        left = _left(workspace)
        result["left"] = left
        lines.append("left of the study: " + (", ".join(left) if left else "nothing"))
    if verify:
        result["damaged"] = damaged = _damaged(workspace)
        lines += [f"damaged: {item['case']}: {item['reason']}" for item in damaged]
        what_to_do = "remove it with `clean WORK prepare` and prepare again"
        lines.append(what_to_do if damaged else "prepared: nothing is damaged")
    return Reply(result, tuple(lines))


def _damaged(workspace: Any) -> list[dict[str, Any]]:
    from ..workspace.voxel_store import VoxelStore

    store = VoxelStore(workspace.prepared, check_sizes=False)
    with watching_one("verify") as progress:
        return [plain(damage) for damage in store.verify(progress)]


def _line(row: dict[str, Any]) -> str:
    names = [name for name in row["complete"] if name != "."] + [f"{name} (unfinished)" for name in row["unfinished"]]
    return f"{row['stage']:12}{row['state']:12}{size(row['bytes']):>10}  {', '.join(names)}".rstrip()


def _left(workspace: Any) -> list[str]:
    from ..jobs import complete_jobs
    from ..pipeline import plan
    from ..study import study_from
    from ..workspace.files import read_json

    stored = read_json(workspace.root / "study.json")
    study = study_from(stored["document"], (), Path(stored["folder"]))
    jobs = plan(study, workspace.root)
    complete = complete_jobs(jobs, workspace)
    return [job.name for job in jobs if job.name not in complete]
