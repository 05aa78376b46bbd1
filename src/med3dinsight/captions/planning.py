"""Which slices get a text, and what that will take."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..records import SliceRef
from ..slices.informative import Informative, plan_informative
from ..slices.sampling import plan_slices
from ..workspace import Workspace
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


def forecast(config: CaptionConfig, workspace: Workspace) -> dict[str, Any]:
    """Says what captioning would take, and refuses what it would refuse; nothing is sent or changed.

    Returns:
        ``{"slices"}``, and for a chat model also ``{"requests", "most_usd", "notes"}``: how many questions are not
        answered yet, what they cost at most (None where no price is known), and what to look at before slices leave
        this machine.

    Raises:
        UserError: As :func:`~med3dinsight.captions.run.run`.
    """
    prepared = workspace.require(workspace.prepared, "prepare")
    store = VoxelStore(workspace.prepared)
    if config.entry.way != "chat":
        return {"slices": len(plan(config, store, whole=prepared.config.get("protocol") == "cube128")[0])}
    from .chatting import forecast_asking, settle

    chatting = settle(config, store.cases.values())
    slices, _ = plan(config, store, whole=prepared.config.get("protocol") == "cube128")
    told = forecast_asking(chatting, workspace, store, slices)
    return {"slices": len(slices), "requests": told.requests, "most_usd": told.usd, "notes": list(chatting.notes)}
