"""``prepare``: scans -> prepared volumes."""

from __future__ import annotations

import contextlib
import sys
from typing import Annotated, Literal

import typer

from ..errors import UserError
from .options import ConfigFile, DryRun, Json, Overrides, Work
from .replies import Reply
from .settings import read_settings
from .stages import stage_reply


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
        say=lambda result: f"prepared {result['prepared']} volumes in {work}, left out {len(result['left_out'])}",
        dry_run=dry_run,
        create=True,
    )
