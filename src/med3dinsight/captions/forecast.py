"""What captioning would take, said before it starts."""

from __future__ import annotations

from typing import Any

from ..workspace import Workspace
from ..workspace.voxel_store import VoxelStore
from .config import CaptionConfig
from .planning import plan


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
