"""``run``: a whole study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Device, DryRun, Engine, Json, Overrides
from .replies import Reply
from .studies import study_reply


def run(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study file.")],
    work: Annotated[
        Path | None,
        typer.Option(metavar="WORK", help="The workspace folder; default: NAME-work, as the study is named."),
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    device: Device = None,
    engine: Engine = "local",
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Runs every stage of a study, all arms and seeds, then the report; goes on where an earlier call stopped."""
    return study_reply(study, overrides or (), work, settings=config, device=device, dry_run=dry_run)
