"""``status``: what is done, what is left, what it takes on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UserError, WorkspaceError
from .failures import Failure, describe
from .options import ConfigFile, Json, Overrides, Work
from .progress import watching_one
from .replies import Reply, plain, size
from .settings import no_settings

if TYPE_CHECKING:
    from ..workspace import Workspace

#: Damaged volumes that the error names; the lines before it name all.
_NAMED = 5


def status(
    work: Work,
    verify: Annotated[bool, typer.Option("--verify", help="Read every prepared voxel; name what is damaged.")] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> Reply:
    """Shows each stage's state and size; where a study was begun, also which of its runs are left.

    With --verify it ends with exit code 2 where a volume is damaged, and notes it: the same `prepare` then mends it.
    """
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
    failure = None
    if verify:
        result["damaged"], failure = _verify(workspace)
        lines += [f"damaged: {item['case']}: {item['reason']}" for item in result["damaged"]]
        lines += [] if failure else ["prepared: nothing is damaged"]
    return Reply(result, tuple(lines), failure)


def _verify(workspace: Workspace) -> tuple[list[dict[str, Any]], Failure | None]:
    """Reads every prepared volume, and notes what is damaged for the next run of ``prepare``."""
    from ..workspace.voxel_damage import note_damage
    from ..workspace.voxel_store import VoxelStore

    store = VoxelStore(workspace.prepared, check_sizes=False)
    with watching_one("verify") as progress:
        damaged = list(store.verify(progress))
    names = list(dict.fromkeys(item.case for item in damaged))
    hint = f"run the same `med3dinsight prepare {workspace.root}` again: it prepares them anew and keeps the others"
    try:
        note_damage(workspace, names)
    except UserError as error:
        if not names:
            raise
        hint = f"{error.hint}, then run `status --verify` again: they could not be noted ({error.message})"
    if not names:
        return [], None
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    are = "volume is" if len(store.cases) == 1 else "volumes are"
    found = f"{len(names)} of {len(store.cases)} prepared {are} damaged: {', '.join(names[:_NAMED])}{more}"
    return plain(damaged), describe(WorkspaceError(found, hint))


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
