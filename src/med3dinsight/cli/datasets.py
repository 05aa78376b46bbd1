"""``datasets``: known layouts, checks of a folder, the sample scans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import ConfigError, suggest
from .options import ConfigFile, Json, Overrides
from .progress import watching_one
from .replies import Reply, plain
from .settings import no_settings

if TYPE_CHECKING:
    from ..datasets import Layout

ACTIONS = ("list", "check", "fetch")
_THIRD_PARTIES = {
    "allowed": "services of others may see it",
    "forbidden": "services of others must not see it",
    "unknown": "whether services of others may see it is not stated",
}


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
    from ..datasets import LAYOUTS

    width = max(map(len, LAYOUTS))
    general = [f"  {name:{width}}  {layout.description}" for name, layout in LAYOUTS.items() if layout.facts is None]
    public = [
        line
        for name, layout in LAYOUTS.items()
        if (facts := layout.facts) is not None
        for line in (
            f"  {name:{width}}  {layout.description}",
            f"  {'':{width}}  {facts.licence}; {_THIRD_PARTIES[facts.third_parties]}"
            + ("; terms must be agreed to before the download" if facts.gated else ""),
        )
    ]
    rows = [{"name": name, "description": layout.description, **_facts(layout)} for name, layout in LAYOUTS.items()]
    lines = ("Layouts of your own data", *general, *(("Public data sets", *public) if public else ()))
    return Reply({"names": list(LAYOUTS), "layouts": rows}, lines)


def _facts(layout: Layout) -> dict[str, Any]:
    return {"public": layout.facts is not None, **(plain(layout.facts) if layout.facts is not None else {})}


def _check(name: str, directory: Path) -> Reply:
    from ..datasets import LAYOUTS, check
    from .problem_table import problem_table

    with watching_one(f"check {directory}") as progress:
        result = plain(check(name, directory, progress))
    found = ", ".join(f"{count} {modality.upper()}" for modality, count in result["modalities"].items())
    guess = f" ({result['guessed']} guessed from the intensities)" if result["guessed"] else ""
    lines = [
        f"layout: {result['layout']}, {LAYOUTS[result['layout']].description}",
        f"{result['scans']} scans of {result['subjects']} subjects, {result['labelled']} with a label map",
        *([f"modality: {found}{guess}"] if found else []),
        f"licence: {result['licence'] or 'not stated'}; {_THIRD_PARTIES[result['third_parties']]}",
        *([f"{result['other_files']} other files are no scans"] if result["other_files"] else []),
        *problem_table(result["problems"], directory),
    ]
    return Reply(result, (*lines, f"{len(result['problems'])} problems in {directory}"))


def _fetch(name: str, directory: Path) -> Reply:
    if name != "sample":
        raise ConfigError(f"no data set called {name} can be fetched", "only the sample scans: fetch sample DIR")
    from ..datasets.sample import fetch_sample

    with watching_one("fetch sample") as progress:
        sources = fetch_sample(directory, progress)
    lines = [f"{source.id}: {source.origin} {source.licence}" for source in sources]
    names = [source.id for source in sources]
    return Reply({"names": names, "directory": str(directory)}, (*lines, f"{len(names)} volumes in {directory}"))
