"""The command line: the table of verbs, and one place where replies are printed and errors become exit codes.

Only the module of the verb that was asked for is imported, so that help and mistakes answer at once.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Annotated, NamedTuple

import typer

from .. import __version__
from ..errors import ConfigError, suggest
from .failures import describe, discard_output, show_failure
from .replies import Reply, show_reply

PROGRAM = "med3dinsight"


class Verb(NamedTuple):
    """Where a verb lives (a module of this folder and a function in it), and its line in the help."""

    module: str
    function: str
    line: str


VERBS: dict[str, Verb] = {
    "demo": Verb("demo", "demo", "The whole main job on real sample scans, up to a report page."),
    "run": Verb("run", "run", "A whole study: every stage, all arms and seeds, then the report."),
    "datasets": Verb("datasets", "datasets", "Known layouts; checks a folder; fetches the sample scans."),
    "prepare": Verb("prepare", "prepare", "Scans -> prepared volumes."),
    "slices": Verb("slices", "slices", "Slices of prepared volumes -> pictures."),
    "caption": Verb("caption", "caption", "Slices -> texts."),
    "caption-audit": Verb("caption_audit", "caption_audit", "How far the texts can be trusted."),
    "embed": Verb("embed", "embed", "Slices and texts -> 2D features."),
    "pretrain": Verb("pretrain", "pretrain", "Features and volumes -> a 3D encoder."),
    "finetune": Verb("finetune", "finetune", "An encoder and labels -> a model."),
    "predict": Verb(
        "predict", "predict", "A model and scans -> label maps on their own grids, or class probabilities."
    ),
    "evaluate": Verb("evaluate", "evaluate", "Predictions -> scores and comparisons with statistics."),
    "probe": Verb("probe", "probe", "Linear read-out of frozen encoders, against random ones."),
    "localize": Verb("localize", "localize", "Finds where slices lie in the volume of an unseen person."),
    "import": Verb("importing", "import_", "Weights from elsewhere -> an encoder."),
    "report": Verb("report", "report", "Everything so far -> one self-contained page."),
    "status": Verb("status", "status", "What is done, what is left, what it takes on disk."),
    "clean": Verb("clean", "clean", "Removes one stage's output."),
    "encoders": Verb("listings", "encoders", "3D encoders that can be named."),
    "networks": Verb("listings", "networks", "Segmentation networks that can be named."),
    "captioners": Verb("listings", "captioners", "Captioners that can be named."),
    "towers": Verb("listings", "towers", "Pairs of 2D towers that can be named."),
    "methods": Verb("listings", "methods", "Pre-training methods that can be named."),
    "doctor": Verb("not_built", "doctor", "Machine, parts and forecasts (not built yet)."),
    "retrieve": Verb("not_built", "retrieve", "Text and volume retrieval (not built yet)."),
    "export": Verb("not_built", "export", "Weights to where people work (not built yet)."),
}


def main(arguments: list[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: Words after the program's name; None means those of this process.

    Returns:
        The exit code: 0 done, 2 the user can fix it, 1 a bug, 130 interrupted.
    """
    words = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in words
    try:
        # What a library prints must not get between the lines of the JSON object.
        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
            reply = _answer(words or ["--help"])
        show_reply(reply, as_json)
        return 0 if reply.failure is None else reply.failure.exit_code
    except typer.Exit as stop:
        return stop.exit_code
    except BrokenPipeError:  # whoever read the output has gone, as in `| head`
        discard_output()
        return 0
    except (Exception, KeyboardInterrupt) as error:
        failure = describe(error)
        show_failure(failure, error, as_json)
        return failure.exit_code


def _answer(words: list[str]) -> Reply:
    name = next((word for word in words if not word.startswith("-")), None)
    if name is not None and name not in VERBS:
        raise ConfigError(f"no command called {name}", suggest(name, VERBS))
    command = typer.main.get_command(_build(name))
    with command.make_context(PROGRAM, words) as context:
        reply = command.invoke(context)
    return reply if isinstance(reply, Reply) else Reply({})


def _build(asked: str | None) -> typer.Typer:
    """Builds the parser; verbs that were not asked for are only a line in the help."""
    # With its default markup typer imports rich before it can say that an option is wrong.
    app = typer.Typer(name=PROGRAM, rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)
    app.callback()(_root)
    for name, verb in VERBS.items():
        if name == asked:
            module = importlib.import_module(f"{__package__}.{verb.module}")
            app.command(name, short_help=verb.line, context_settings=getattr(module, "CONTEXT", None))(
                getattr(module, verb.function)
            )
        else:
            app.command(name, help=verb.line)(_line_only)
    return app


def _line_only() -> None:
    """Stands for a verb that was not asked for."""


def _show_version(value: bool) -> None:
    if value:
        print(f"{PROGRAM} {__version__}")
        raise typer.Exit()


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Pre-trains 3D medical image encoders with the help of 2D multimodal LLMs, and shows whether it helped.

    From a folder of scans: prepare, caption, embed, pretrain, finetune, evaluate, report. `demo` does it all on
    sample scans; `run` does it all as a study file says. Every stage can be stopped and goes on where it was.
    """
