"""``pretrain``: features and volumes -> a 3D encoder."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import ConfigFile, Device, DryRun, HeldOut, Json, Overrides, Work
from .replies import Reply
from .settings import read_settings
from .stages import stage_reply


def pretrain(
    work: Work,
    encoder: Annotated[str | None, typer.Option(metavar="NAME", help="A name of `med3dinsight encoders`.")] = None,
    method: Annotated[str | None, typer.Option(metavar="NAME", help="A name of `med3dinsight methods`.")] = None,
    run_name: Annotated[
        str | None, typer.Option("--run", metavar="NAME", help="Name of the run; by default the method's.")
    ] = None,
    captioner: Annotated[str | None, typer.Option(metavar="NAME", help="Whose texts to match.")] = None,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of weights, draws and augmentation.")] = None,
    held_out: HeldOut = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    device: Device = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Pre-trains a 3D encoder; leaves pretraining/NAME/encoder.safetensors.

    People who will be tested must be named by --held-out.
    """
    from ..pretraining.config import PretrainConfig

    options = {
        "encoder": encoder,
        "method": method,
        "run": run_name,
        "captioner": captioner,
        "steps": steps,
        "seed": seed,
        "held_out": held_out,
        "device": device,
    }
    settings = read_settings(PretrainConfig, config, overrides, options)
    if "run" not in settings.model_fields_set:  # or another method would take the place of an unnamed run
        settings = settings.model_copy(update={"run": settings.method})
    from ..pretraining.forecast import forecast
    from ..pretraining.resolving import shown
    from ..pretraining.run import run

    return stage_reply("pretrain", run, settings, work, say=_say, dry_run=dry_run, forecast=forecast, resolved=shown)


def _say(result: dict[str, Any]) -> str:
    if result["final_loss"] is None:
        return f"{result['run']}: random weights, nothing was trained"
    warning = "; WARNING: the embedding has collapsed, see log.jsonl" if result["collapsed"] else ""
    return f"pre-trained {result['run']}: loss {result['final_loss']:.3f} after {result['steps']} steps{warning}"
