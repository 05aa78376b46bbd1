"""``localize``: where in a volume does a slice lie."""

from __future__ import annotations

from .options import ConfigFile, Device, DryRun, Json, Overrides, Work
from .replies import Reply
from .settings import read_settings
from .stages import stage_reply


def localize(
    work: Work,
    config: ConfigFile = None,
    overrides: Overrides = None,
    device: Device = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> Reply:
    """Finds slices in the volume of a person whom pre-training never saw; leaves evaluation/localization.json.

    Every error stands beside that in the wrong volume and that of shuffled captions.
    """
    from ..evaluation.readout_config import LocalizeConfig

    settings = read_settings(LocalizeConfig, config, overrides, {"device": device}, work)
    from ..evaluation.localization import run_localize

    return stage_reply(
        "localize",
        run_localize,
        settings,
        work,
        say=lambda result: f"localised slices with {', '.join(result['arms'])}",
        dry_run=dry_run,
    )
