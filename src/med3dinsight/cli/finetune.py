"""``finetune``: an encoder and labels -> a model."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from ..errors import NotBuiltError
from .options import ConfigFile, Device, DryRun, Json, Overrides, Work
from .replies import Reply
from .settings import read_settings
from .stages import stage_reply


def finetune(
    work: Work,
    task: Annotated[
        Literal["segmentation", "classification"], typer.Option(help="classification: not built yet.")
    ] = "segmentation",
    init: Annotated[
        str | None, typer.Option(metavar="NAME", help="scratch, a pre-training run, or an encoder.safetensors.")
    ] = None,
    run_name: Annotated[str | None, typer.Option("--run", metavar="NAME", help="Name of the run.")] = None,
    arm: Annotated[str | None, typer.Option(metavar="NAME", help="The arm it belongs to in comparisons.")] = None,
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
    """Trains a segmentation network on labelled people and predicts the test people's label maps."""
    if task == "classification":
        raise NotBuiltError("finetune --task classification is not built yet", "use --task segmentation")
    from ..finetuning.config import FinetuneConfig

    options = {
        "task": task,
        "init": init,
        "run": run_name,
        "arm": arm,
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
        say=lambda result: f"fine-tuned {result['run']} from {result['init']}: {result['model']}",
        dry_run=dry_run,
    )
