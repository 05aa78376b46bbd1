"""``evaluate``: predictions -> scores and comparisons."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import ConfigFile, DryRun, Engine, Json, Overrides, Work
from .replies import Reply
from .settings import read_settings
from .stages import stage_reply


def evaluate(
    work: Work,
    runs: Annotated[
        list[str] | None, typer.Option("--run", metavar="NAME", help="A fine-tuned run; may be repeated; default: all.")
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    engine: Engine = "local",
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Scores predictions case by case and compares the arms; leaves evaluation/scores.json."""
    from ..evaluation.config import EvaluateConfig

    settings = read_settings(EvaluateConfig, config, overrides, {"runs": runs}, work)
    from ..evaluation.run import run

    return stage_reply(
        "evaluate",
        run,
        settings,
        work,
        say=lambda result: f"scores in {result['scores']}, {len(result['comparisons'])} comparisons",
        dry_run=dry_run,
    )
