"""``caption``: slices -> texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from .options import ConfigFile, Device, DryRun, Json, Overrides, Work
from .replies import Reply
from .settings import read_settings
from .stages import stage_reply

Captioner = Annotated[str | None, typer.Option(metavar="NAME", help="A name of `med3dinsight captioners`.")]
Model = Annotated[str | None, typer.Option(metavar="M", help="Which model writes: a name, or a local folder.")]
BaseUrl = Annotated[str | None, typer.Option("--base-url", metavar="URL", help="Of an OpenAI-compatible endpoint.")]
Budget = Annotated[float | None, typer.Option(metavar="USD", help="Never spend more, earlier runs included.")]
Sample = Annotated[int | None, typer.Option(metavar="N", help="Write N texts, spread over all slices, and stop.")]
AllowRemote = Annotated[bool, typer.Option("--allow-remote", help="Slices may leave this machine.")]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", metavar="FILE", help="Who allowed it, for which data and endpoint.")
]
Existing = Annotated[
    Path | None, typer.Option("--import", metavar="FILE", help="Take texts from a CSV or Parquet file.")
]
OnEngine = Annotated[Literal["local", "ray"] | None, typer.Option("--engine", help="This machine, or a Ray cluster.")]


def caption(
    work: Work,
    captioner: Captioner = None,
    model: Model = None,
    base_url: BaseUrl = None,
    budget: Budget = None,
    sample: Sample = None,
    allow_remote: AllowRemote = False,
    policy: PolicyFile = None,
    existing: Existing = None,
    device: Device = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    engine: OnEngine = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Writes a text for every slice of the slice table.

    Nothing leaves this machine unless --allow-remote and a policy file say so for these data. The key of an endpoint is
    read from an environment variable, OPENAI_API_KEY unless caption.key_env names another.
    """
    from ..captions.config import CaptionConfig

    if existing is not None and captioner is None:
        captioner = "imported"
    options = {
        "captioner": captioner,
        "model": model,
        "base_url": base_url,
        "budget_usd": budget,
        "sample": sample,
        "allow_remote": allow_remote or None,
        "policy": policy,
        "existing": existing,
        "engine": engine,
        "device": device,
    }
    settings = read_settings(CaptionConfig, config, overrides, options)
    from ..captions.forecast import forecast
    from ..captions.run import run

    return stage_reply(
        "caption",
        run,
        settings,
        work,
        say=say,
        dry_run=dry_run,
        forecast=forecast,
        say_forecast=_say_forecast,
    )


#: What to do for slices that wait for answers to request files.
_WAITING = {
    "files": "upload each file as a batch, put what comes back into the folder `answers` beside it, and run it again",
    "answers": "no new question is to be asked; put what comes back into `answers` and run the captioner of the files",
    "elsewhere": "their questions wait for answers to request files of another captioner",
}
_CUT = "of these {} because the answer was longer than caption.max_tokens; a larger one asks all slices anew"
_IN_DOUBT = "{:.4f} USD may have been paid for no answer (runs were killed, files given up): they count as spent"


def _say_forecast(told: dict[str, Any]) -> list[str]:
    from ..captions.wording import counted

    slices = counted(told["slices"], "slice")
    if "requests" not in told:
        return [f"forecast: {slices}"]
    cost = "an unknown price: see caption.prices" if told["most_usd"] is None else f"{told['most_usd']:.2f} USD at most"
    lines = [f"forecast: {slices}, {counted(told['requests'], 'request')} to send, {cost}"]
    return lines + [f"note: {note}" for note in told["notes"]]


def say(result: dict[str, Any]) -> str:
    """Returns what a reader is told of a result, a line of facts and notes on what to do."""
    from ..captions.wording import counted

    words = [f"captioned {counted(result['captioned'], 'slice')} with {result['captioner']}"]
    if sent := result.get("requests_sent"):
        words.append(f"{counted(sent, 'request')} sent")
    if cost := result.get("cost_usd"):
        words.append(f"{cost:.4f} USD")
    if doubt := result.get("in_doubt_usd"):
        words.append(_IN_DOUBT.format(doubt))
    if more := result.get("unfilled"):
        words.append(f"{counted(more, 'more was', 'more were')} asked for, and nothing informative was left")
    if without := result.get("without_text"):
        have = counted(without, "slice has no text and is", "slices have no text and are")
        words.append(f"{have} left out of training")
    if unread := result.get("quarantined"):
        words.append(f"of these {unread} because no answer could be read")
    if refused := result.get("refused"):
        words.append(f"of these {refused} because the model refused")
    if cut := result.get("cut"):
        words.append(_CUT.format(cut))
    if held := result.get("held_back"):
        words.append(f"of these {held} because a name may stand in the pixels of the scan")
    if flagged := result.get("flagged"):
        words.append(f"{counted(flagged, 'text is', 'texts are')} flagged: look by `med3dinsight caption-audit`")
    if left := result.get("left", 0):
        words.append(f"{counted(left, 'slice is', 'slices are')} left to do: {_what_to_do(result, left)}")
    if files := result.get("files"):
        words.append("files: " + ", ".join(map(str, files)))
    return "\n".join(["; ".join(words), *_waiting(result), *(f"note: {note}" for note in result.get("notes", ()))])


def _what_to_do(result: dict[str, Any], left: int) -> str:
    rest = left - result.get("waiting", 0)
    others = "the budget is used up" if result.get("stopped") == "budget" else "run it again for the rest"
    if rest == left:
        return others
    own = result["captioner"] in result.get("waiting_for", ())
    wait = _WAITING["files" if result.get("files") else "answers" if own else "elsewhere"]
    return f"{left - rest} wait for answers ({wait}); for the other {rest}: {others}" if rest else wait


def _waiting(result: dict[str, Any]) -> list[str]:
    """Says whose files slices wait for, and what to do: without an answer they are never asked about again."""
    folders = [f"asked/{name}" for name in result.get("waiting_for", ()) if name != result["captioner"]]
    if not folders:
        return []
    where = ", ".join(folders)
    return [
        f"note: questions wait for answers to request files in {where}, and are asked nowhere else meanwhile: put what "
        "comes back into the folder `answers` there and run the captioner that wrote them; or remove that folder to "
        "have them asked again, and what was set aside for them counts as spent"
    ]
