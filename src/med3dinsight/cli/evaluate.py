"""``evaluate``: predictions -> scores and comparisons."""

from __future__ import annotations

from typing import Annotated, Any, Literal

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
    task: Annotated[
        Literal["auto", "segmentation", "classification"] | None, typer.Option(help="Which runs; auto: of both tasks.")
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    engine: Engine = "local",
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Scores predictions and compares the arms; leaves evaluation/scores.json.

    Classifications are scored in evaluation/classification.json; where no run segments, that is scores.json too.
    """
    from ..evaluation.config import EvaluateConfig

    settings = read_settings(EvaluateConfig, config, overrides, {"runs": runs, "task": task}, work)
    from ..evaluation.run import run

    return stage_reply(
        "evaluate",
        run,
        settings,
        work,
        say=_say,
        dry_run=dry_run,
    )


def _say(result: dict[str, Any]) -> str:
    line = f"scores in {result['scores']}, {len(result['comparisons'])} comparisons"
    if beside := result.get("classification"):
        line += f"; of the classifications in {beside['scores']}, {len(beside['comparisons'])} comparisons"
    return line
