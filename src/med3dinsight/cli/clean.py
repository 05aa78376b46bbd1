"""``clean``: removes one stage's output."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import ConfigFile, DryRun, Json, Overrides, Work
from .replies import Reply, size
from .settings import no_settings


def clean(
    work: Work,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="A stage of `med3dinsight status`, or its verb.")],
    config: ConfigFile = None,
    overrides: Overrides = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Removes one stage's output from a workspace; the stages after it notice and run again.

    Answers of chat models, which cost money, are kept when the captions go: `clean WORK asked` removes them.
    """
    no_settings("clean", overrides)
    from ..workspace import Workspace
    from ..workspace.overview import bytes_on_disk, remove_stage, stage_folder

    workspace = Workspace(work)
    folder = stage_folder(workspace, stage)
    freed = bytes_on_disk(folder) if dry_run else remove_stage(workspace, stage)
    result = {"stage": folder.name, "bytes": freed, "workspace": str(workspace.root), "dry_run": dry_run}
    verb = "would remove" if dry_run else "removed"
    return Reply(result, (f"{verb} {folder.name}: {size(freed)}",))
