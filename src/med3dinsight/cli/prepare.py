"""``prepare``: scans -> prepared volumes."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ..errors import UserError
from .options import ConfigFile, DryRun, Json, Overrides, Work
from .problem_table import problem_table
from .replies import Reply, size
from .settings import read_settings
from .stages import stage_reply

if TYPE_CHECKING:
    from ..preparing.config import PrepareConfig
    from ..workspace import Workspace


def prepare(
    work: Work,
    source: Annotated[str | None, typer.Option(metavar="DIR", help="Folder or table of the scans.")] = None,
    layout: Annotated[str | None, typer.Option(metavar="NAME", help="How it is laid out; default: found out.")] = None,
    protocol: Annotated[str | None, typer.Option(metavar="NAME", help="cube128 or native.")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    engine: Annotated[Literal["local", "ray"] | None, typer.Option(help="This machine, or a Ray cluster.")] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Scans at a time; 0: one a core.")] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Reads scans and brings them to one orientation, spacing, shape and range of intensities.

    Files that cannot be used are left out and named at the end.
    """
    from ..datasets import LAYOUTS, detect
    from ..preparing.config import PrepareConfig

    options = {"source": source, "layout": layout, "protocol": protocol, "engine": engine, "workers": workers}
    settings = read_settings(PrepareConfig, config, overrides, options)
    from ..preparing.run import run

    with contextlib.suppress(UserError):  # the stage refuses it too, and says so in its place
        layout = detect(settings.source, settings.layout)
        print(f"layout: {layout}, {LAYOUTS[layout].description}", file=sys.stderr)
    return stage_reply(
        "prepare",
        run,
        settings,
        work,
        say=lambda result: _say(result, work),
        dry_run=dry_run,
        create=True,
        forecast=_forecast,
        say_forecast=lambda told: _say_forecast(told, settings.source),
        say_left_out=lambda items: problem_table(items, Path(settings.source)),
    )


def _say(result: dict[str, Any], work: Path) -> str:
    counted = f"prepared {result['prepared']} volumes in {work}, left out {len(result['left_out'])}"
    if result["left_out"]:
        counted += f" (also in {work / 'prepared' / 'left_out.csv'})"
    return "\n".join([*_say_plan(result.get("plan")), counted, *(f"note: {note}" for note in result.get("notes", ()))])


def _say_plan(plan: dict[str, Any] | None) -> list[str]:
    if not plan:
        return []
    from ..preparing.plan import sentence

    return [sentence(plan)]


def _forecast(settings: PrepareConfig, workspace: Workspace | None) -> dict[str, Any]:
    from ..preparing.forecast import forecast

    return forecast(settings, None if workspace is None else workspace.prepared)


def _say_forecast(told: dict[str, Any], source: str) -> list[str]:
    disk = told["disk_bytes"]
    found = ", ".join(f"{count} {name}" for name, count in told["modalities"].items())
    return [
        f"forecast: {size(disk['voxels'])} of voxels and {size(disk['labels'])} of label maps on the disk",
        f"forecast: {told['seconds']:.0f} s with {told['workers']} worker{'s' if told['workers'] > 1 else ''}",
        f"{told['scans']} scans of {told['subjects']} subjects: {found}",
        *_say_plan(told["plan"]),
        *problem_table(told["left_out"], Path(source)),
    ]
