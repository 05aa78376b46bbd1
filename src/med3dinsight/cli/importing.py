"""``import``: weights of others -> an encoder that can be fine-tuned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import ConfigFile, Json, Overrides
from .progress import watching_one
from .replies import Reply
from .settings import no_settings

if TYPE_CHECKING:
    from ..encoders.load_report import LoadReport


def import_(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Weights: .safetensors, .pt, .pth, .ckpt; or the name i3resnet152.")
    ],
    encoder: Annotated[str | None, typer.Option("--encoder", metavar="NAME", help="Which encoder they are of.")] = None,
    image_size: Annotated[
        int | None, typer.Option("--image-size", metavar="N", min=1, help="Edge in voxels of the cubes it is for.")
    ] = None,
    minimum_share: Annotated[
        float | None,
        typer.Option("--minimum-share", metavar="S", min=0, max=1, help="Share of the encoder that must be in FILE."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="OUT", help="Folder to write; imported/NAME unless given.")
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> Reply:
    """Reads weights of others, and tells what became of every tensor.

    Leaves encoder.safetensors and encoder.json, which `finetune --init OUT/encoder.safetensors` takes. Fails where
    less than 90 % of the encoder's parameters are in FILE, unless --minimum-share says otherwise.
    """
    no_settings("import", overrides)
    from ..exchange.importing import import_weights

    with watching_one("import") as progress:
        imported = import_weights(
            file,
            encoder=encoder,
            image_size=image_size,
            minimum_share=minimum_share,
            output=output,
            progress=progress,
        )
    weights = str(imported.weights)
    result: dict[str, Any] = {**imported.report.as_json(), "encoder": imported.encoder, "weights": weights}
    return Reply(result, (*_lines(imported.report), f"{imported.encoder} written to {weights}"))


def _lines(report: LoadReport) -> list[str]:
    warnings = [f"warning: {warning}" for warning in report.warnings]
    return [*report.table(), report.summary(), *report.notes, *warnings]
