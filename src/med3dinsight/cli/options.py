"""Options and arguments that several verbs share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import ConfigError, NotBuiltError


def _device(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
        raise ConfigError(f"no device called {value}", "give auto, cpu, cuda or cuda:N")
    return value


def _engine(value: str) -> str:
    if value == "ray":
        raise NotBuiltError("--engine ray is not built yet", "leave it out: the work runs on this machine")
    return value


Work = Annotated[Path, typer.Argument(metavar="WORK", help="The workspace folder.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="TOML file with settings.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="One setting; may be repeated.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done; do nothing.")]
Device = Annotated[
    str | None, typer.Option("--device", metavar="NAME", callback=_device, help="auto, cpu, cuda or cuda:N.")
]
Engine = Annotated[
    Literal["local", "ray"],
    typer.Option("--engine", callback=_engine, help="Where single items are worked on (ray: not built yet)."),
]
HeldOut = Annotated[
    list[str] | None,
    typer.Option("--held-out", metavar="SUBJECT", help="A person who must not be seen; may be repeated."),
]
