"""``predict``: a model and scans -> label maps, or class probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import ConfigFile, Device, DryRun, Engine, Json, Overrides
from .progress import watching_one
from .replies import Reply, plain
from .settings import no_settings
from .stages import left_out_line


def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A folder that `finetune` left.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A scan, a DICOM folder, or a folder of scans.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Folder for label maps, or a CSV file for classes.")],
    config: ConfigFile = None,
    overrides: Overrides = None,
    device: Device = None,
    engine: Engine = "local",
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Predicts every scan: a label map on the scan's own grid, or the probability of each class in a CSV file."""
    no_settings("predict", overrides)
    if dry_run:
        result = {"dry_run": True, "model": str(model), "input": str(source), "output": str(output)}
        return Reply(result, (f"would predict {source} with {model} into {output}",))
    from ..predicting.scans import predict as run

    with watching_one("predict") as progress:
        result = plain(run(model, source, output, device or "auto", progress))
    predicted = result["predicted"]
    count = len(predicted) if isinstance(predicted, list) else predicted
    return Reply(result, (f"predicted {count} scans into {output}", *map(left_out_line, result["left_out"])))
