"""``probe``: linear read-out of frozen encoders."""

from __future__ import annotations

from .options import ConfigFile, Device, DryRun, Json, Overrides, Work
from .replies import Reply
from .settings import read_settings
from .stages import stage_reply


def probe(
    work: Work,
    config: ConfigFile = None,
    overrides: Overrides = None,
    device: Device = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Reads tissue out of frozen voxel features, beside several random encoders; leaves evaluation/probe.json."""
    from ..evaluation.readout_config import ProbeConfig

    settings = read_settings(ProbeConfig, config, overrides, {"device": device}, work)
    from ..evaluation.probe import run_probe

    return stage_reply(
        "probe",
        run_probe,
        settings,
        work,
        say=lambda result: f"probed {', '.join(result['arms'])}",
        dry_run=dry_run,
    )
