"""``embed``: slices and texts -> 2D features."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from .options import ConfigFile, Device, DryRun, HeldOut, Json, Overrides, Work
from .replies import Reply
from .settings import read_settings
from .stages import stage_reply


def embed(
    work: Work,
    towers: Annotated[str | None, typer.Option(metavar="NAME", help="A name of `med3dinsight towers`.")] = None,
    model: Annotated[str | None, typer.Option(metavar="FOLDER", help="Model of towers such as clip.")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Folder of the features; else the towers.")] = None,
    captioner: Annotated[str | None, typer.Option(metavar="NAME", help="Whose texts to embed.")] = None,
    tune: Annotated[bool, typer.Option("--tune", help="Fine-tune on the slice/text pairs first.")] = False,
    held_out: HeldOut = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    device: Device = None,
    engine: Annotated[Literal["local", "ray"] | None, typer.Option(help="This machine, or a Ray cluster.")] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Processes that embed; 0: one a core.")] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Computes features of slices and texts with frozen 2D towers, once for each."""
    from ..features.config import EmbedConfig

    options = {
        "towers": towers,
        "model": model,
        "name": name,
        "captioner": captioner,
        "projection": "tuned" if tune else None,
        "held_out": held_out,
        "device": device,
        "engine": engine,
        "workers": workers,
    }
    settings = read_settings(EmbedConfig, config, overrides, options)
    from ..features.run import run

    return stage_reply(
        "embed",
        run,
        settings,
        work,
        say=lambda result: f"embedded {result['slices']} slices and {result['texts']} texts with {result['towers']}",
        dry_run=dry_run,
    )
