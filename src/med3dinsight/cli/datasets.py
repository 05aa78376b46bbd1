"""``datasets``: known layouts, checks of a folder, the sample scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import ConfigError, suggest
from .options import ConfigFile, Json, Overrides
from .progress import watching_one
from .replies import Reply, plain
from .settings import no_settings

ACTIONS = ("list", "check", "fetch")


def datasets(
    action: Annotated[
        str, typer.Argument(metavar="[list|check|fetch]", help="What to do; list unless given.")
    ] = "list",
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A layout to check (or auto); sample.")] = None,
    directory: Annotated[Path | None, typer.Argument(metavar="DIR", help="The folder.")] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    json: Json = False,
) -> Reply:
    """Lists known layouts; checks a folder; fetches the sample scans.

    `check NAME DIR` reads every scan of a folder and says what is wrong; `fetch sample DIR` writes the sample scans.
    """
    no_settings("datasets", overrides)
    if action not in ACTIONS:
        raise ConfigError(f"datasets cannot {action}", suggest(action, ACTIONS))
    if action == "list":
        return _list()
    if name is None or directory is None:
        words = "check NAME DIR" if action == "check" else "fetch sample DIR"
        raise ConfigError(f"datasets {action} needs a name and a folder", f"as in: med3dinsight datasets {words}")
    return _check(name, directory) if action == "check" else _fetch(name, directory)


def _list() -> Reply:
    from ..datasets.registry import LAYOUTS

    width = max(map(len, LAYOUTS))
    lines = tuple(f"{name:{width}}  {layout.description}" for name, layout in LAYOUTS.items())
    return Reply({"names": list(LAYOUTS)}, lines)


def _check(name: str, directory: Path) -> Reply:
    from ..datasets import check

    with watching_one(f"check {directory}") as progress:
        problems = plain(check(name, directory, progress))
    lines = [f"{item['file']}: {item['reason']} ({item['hint']})" for item in problems]
    return Reply({"problems": problems}, (*lines, f"{len(problems)} problems in {directory}"))


def _fetch(name: str, directory: Path) -> Reply:
    if name != "sample":
        raise ConfigError(f"no data set called {name} can be fetched", "only the sample scans: fetch sample DIR")
    from ..datasets.sample import fetch_sample

    with watching_one("fetch sample") as progress:
        sources = fetch_sample(directory, progress)
    lines = [f"{source.id}: {source.origin} {source.licence}" for source in sources]
    names = [source.id for source in sources]
    return Reply({"names": names, "directory": str(directory)}, (*lines, f"{len(names)} volumes in {directory}"))
