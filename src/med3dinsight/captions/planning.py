"""Which slices get a text."""

from __future__ import annotations

from ..errors import InputError
from ..records import SliceRef
from ..slices.informative import Informative, plan_informative
from ..slices.sampling import plan_slices
from ..workspace.voxel_store import VoxelStore
from .config import CaptionConfig


def plan(config: CaptionConfig, store: VoxelStore, *, whole: bool) -> tuple[list[SliceRef], int]:
    """Returns the slices that get a text, and how many of the quotas could not be filled."""
    settings = config.slice_settings()
    if config.sampling == "uniform":
        return plan_slices(store.cases.values(), whole=whole, **settings), 0
    rule = Informative(config.least_body, config.most_alike, settings.pop("seed"))
    chosen = plan_informative(store, whole=whole, rule=rule, **settings)
    if not chosen.slices:
        raise InputError(
            "no slice is informative by these settings", "lower caption.least_body, or look at the prepared volumes"
        )
    return chosen.slices, chosen.unfilled
