"""``caption``: slices -> texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .options import ConfigFile, DryRun, Json, Overrides, Work, not_built
from .replies import Reply
from .settings import read_settings
from .stages import stage_reply


def _later(*names: str, metavar: str | None = None) -> typer.models.OptionInfo:
    return typer.Option(*names, metavar=metavar, callback=not_built, help="(not built yet)")


def caption(
    work: Work,
    captioner: Annotated[str | None, typer.Option(metavar="NAME", help="A name of `med3dinsight captioners`.")] = None,
    model: Annotated[str | None, _later("--model", metavar="M")] = None,
    base_url: Annotated[str | None, _later("--base-url", metavar="URL")] = None,
    budget: Annotated[float | None, _later("--budget", metavar="USD")] = None,
    sample: Annotated[
        int | None, typer.Option(metavar="N", help="Write N texts, spread over all slices, and stop.")
    ] = None,
    allow_remote: Annotated[bool, _later("--allow-remote")] = False,
    policy: Annotated[Path | None, _later("--policy", metavar="FILE")] = None,
    existing: Annotated[
        Path | None, typer.Option("--import", metavar="FILE", help="Take texts from a CSV or Parquet file.")
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    engine: Annotated[Literal["local", "ray"] | None, typer.Option(help="This machine, or a Ray cluster.")] = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Writes a text for every slice of the slice table.

    Nothing leaves the machine: the built captioners are rules and controls, not language models.
    """
    from ..captions.config import CaptionConfig

    if existing is not None and captioner is None:
        captioner = "imported"
    options = {"captioner": captioner, "existing": existing, "sample": sample, "engine": engine}
    settings = read_settings(CaptionConfig, config, overrides, options)
    from ..captions.run import run

    return stage_reply(
        "caption",
        run,
        settings,
        work,
        say=_say,
        dry_run=dry_run,
    )


def _say(result: dict[str, Any]) -> str:
    words = [f"captioned {result['captioned']} slices with {result['captioner']}"]
    if unfilled := result.get("unfilled", 0):
        words.append(f"{unfilled} more were asked for, and nothing informative was left")
    if without := result.get("without_text", 0):
        words.append(f"{without} slices have no text and are left out of training")
    if left := result.get("left", 0):
        words.append(f"{left} slices are left to do: run it again without --sample")
    return "; ".join(words)
