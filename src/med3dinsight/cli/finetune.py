"""``finetune``: an encoder and labels -> a model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from .options import ConfigFile, Device, DryRun, Json, Overrides, Work
from .replies import Reply
from .settings import read_settings
from .stages import stage_reply


def finetune(
    work: Work,
    task: Annotated[
        Literal["segmentation", "classification"] | None,
        typer.Option(help="segmentation (by default) learns from label maps, classification from --table."),
    ] = None,
    init: Annotated[
        str | None, typer.Option(metavar="NAME", help="scratch, a pre-training run, or an encoder.safetensors.")
    ] = None,
    run_name: Annotated[str | None, typer.Option("--run", metavar="NAME", help="Name of the run.")] = None,
    arm: Annotated[str | None, typer.Option(metavar="NAME", help="The arm it belongs to in comparisons.")] = None,
    table: Annotated[
        str | None, typer.Option(metavar="FILE", help="Labels of scans: CSV or TSV of image, label, subject[, split].")
    ] = None,
    test: Annotated[
        list[str] | None,
        typer.Option(metavar="SUBJECT", help="A person to predict, not trained on; may be repeated."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, draws and augmentation.")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    device: Device = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Trains a network on labelled people and predicts the test people: label maps, or class probabilities."""
    from ..finetuning.config import FinetuneConfig

    options = {
        "task": task,
        "init": init,
        "run": run_name,
        "arm": arm,
        "table": table,
        "test": test,
        "steps": steps,
        "seed": seed,
        "device": device,
    }
    settings = read_settings(FinetuneConfig, config, overrides, options)
    from ..finetuning.run import run

    return stage_reply(
        "finetune",
        run,
        settings,
        work,
        say=_say,
        dry_run=dry_run,
    )


def _say(result: dict[str, Any]) -> str:
    return "\n".join((f"fine-tuned {result['run']} from {result['init']}: {result['model']}", *result.get("notes", ())))
