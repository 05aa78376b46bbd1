"""``demo``: the whole main job on the sample scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Device, DryRun, Engine, Json, Overrides
from .replies import Reply
from .studies import study_reply

PRESETS = Path(__file__).parent.parent / "presets"


def demo(
    work: Annotated[
        Path | None, typer.Argument(metavar="WORK", help="The workspace folder; default: demo-work or demo-quick-work.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A much smaller one: it shows the way, not the result.")
    ] = False,
    config: ConfigFile = None,
    overrides: Overrides = None,
    device: Device = None,
    engine: Engine = "local",
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Fetches real sample scans and runs every stage on them, up to WORK/report/index.html."""
    preset = PRESETS / ("demo-quick.toml" if quick else "demo.toml")
    return study_reply(preset, overrides or (), work, settings=config, device=device, dry_run=dry_run)
