"""``slices``: slices of prepared volumes as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import ConfigFile, Json, Overrides, Work
from .progress import watching_one
from .replies import Reply, plain
from .settings import read_settings


def slices(
    work: Work,
    output: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the PNG files.")],
    case: Annotated[str | None, typer.Option(metavar="ID", help="A prepared case; all when left out.")] = None,
    plane: Annotated[str | None, typer.Option(metavar="PLANE", help="axial, coronal, sagittal or all.")] = None,
    index: Annotated[str | None, typer.Option(metavar="N", help="A number, middle, all, or every:K.")] = None,
    window: Annotated[
        str | None,
        typer.Option(metavar="LOW,HIGH", help="Shown black and white, HU for CT; as prepared if left out."),
    ] = None,
    marks: Annotated[
        bool | None, typer.Option("--marks/--no-marks", help="Frame with marks of orientation, and a scale bar.")
    ] = None,
    sampling: Annotated[
        Literal["uniform", "informative"] | None,
        typer.Option(help="Choose --count slices a plane: equally spaced, or such that show body and differ."),
    ] = None,
    count: Annotated[int | None, typer.Option(metavar="N", help="Slices of a plane that --sampling chooses.")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> Reply:
    """Writes slices of prepared volumes as a viewer shows them: square pixels, marks of orientation, a window.

    The patient's right is on the left of axial and coronal pictures, the front on the left of sagittal ones.
    `--set slices.labels=true` lays the label maps over them.
    """
    from ..slices.config import SlicesConfig

    options = {
        "case": case,
        "plane": plane,
        "index": index,
        "window": window,
        "marks": marks,
        "sampling": sampling,
        "count": count,
    }
    settings = read_settings(SlicesConfig, config, overrides, options)
    from ..slices.exporting import export_slices
    from ..workspace import Workspace

    with watching_one("slices") as progress:
        result = plain(export_slices(settings, Workspace(work), output, progress=progress))
    lines = [f"wrote {result['written']} slices into {output}", *result["notes"]]
    if result["unfilled"]:
        lines.append(f"{result['unfilled']} more were asked for, and nothing informative was left")
    return Reply(result, tuple(lines))
