"""``caption-audit``: how far the texts can be trusted."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from .options import ConfigFile, DryRun, Json, Overrides, Work
from .replies import Reply
from .settings import read_settings
from .stages import stage_reply


def caption_audit(
    work: Work,
    captioner: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose texts; the only ones there, unless told.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="NAME", help="Another captioner to compare with, slice by slice.")
    ] = None,
    config: ConfigFile = None,
    overrides: Overrides = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Checks the texts against headers and label maps; leaves audit/CAPTIONER/audit.json and a page.

    Shares are of the texts that say something that can be checked. The page shows the worst texts and some at random.
    """
    from ..auditing.config import AuditConfig

    settings = read_settings(AuditConfig, config, overrides, {"captioner": captioner, "against": against})
    from ..auditing.run import run

    return stage_reply("caption-audit", run, settings, work, say=_say, dry_run=dry_run)


def _say(result: dict[str, Any]) -> str:
    from ..captions.wording import counted

    parts = ("plane", "modality", "side", "organs")
    shares = [f"{name} {100 * result[name]:.1f} %" for name in parts if result[name] is not None]
    score = result["score"]
    trust = "nothing in them can be checked" if score is None else f"{100 * score:.1f} % contradict nothing"
    right = f" (right: {', '.join(shares)})" if shares else ""
    return f"audited {counted(result['texts'], 'text')} of {result['captioner']}: {trust}{right}: {result['page']}"
