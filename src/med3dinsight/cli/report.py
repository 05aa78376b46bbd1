"""``report``: everything so far -> one page."""

from __future__ import annotations

from .options import ConfigFile, DryRun, Json, Overrides, Work
from .replies import Reply
from .settings import read_settings
from .stages import stage_reply


def report(
    work: Work, config: ConfigFile = None, overrides: Overrides = None, dry_run: DryRun = False, json: Json = False
) -> Reply:
    """Writes report/index.html, one page that opens without a network."""
    from ..report.config import ReportConfig

    settings = read_settings(ReportConfig, config, overrides, {}, work)
    from ..report.run import run

    return stage_reply("report", run, settings, work, say=lambda result: f"report: {result['page']}", dry_run=dry_run)
