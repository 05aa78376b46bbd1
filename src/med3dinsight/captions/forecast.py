"""What captioning would take, said before it starts."""

from __future__ import annotations

from typing import Any

from ..records import SliceRef
from ..slices.rendering import SliceRenderer
from ..workspace import Workspace
from ..workspace.answer_ledger import ANSWERS, AnswerLedger
from ..workspace.voxel_store import VoxelStore
from .asking.prices import Forecast
from .asking.prices import forecast as forecast_cost
from .config import CaptionConfig
from .planning import plan
from .settled import Chatting


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
    from .settled import settle

    chatting = settle(config, store.cases.values())
    slices, _ = plan(config, store, whole=prepared.config.get("protocol") == "cube128")
    told = _asking(chatting, workspace, store, slices)
    return {"slices": len(slices), "requests": told.requests, "most_usd": told.usd, "notes": list(chatting.notes)}


def _asking(chatting: Chatting, workspace: Workspace, store: VoxelStore, slices: list[SliceRef]) -> Forecast:
    """Says how many questions are left to ask about some slices, and what they cost at most; nothing is sent.

    Raises:
        WorkspaceError: The answers were written by a newer version.
    """
    prints = [chatting.fingerprint(store, ref) for ref in slices]
    known: set[str] = set()
    if (workspace.asked / ANSWERS).exists():
        with AnswerLedger(workspace.asked) as answers:
            for first in range(0, len(prints), 512):
                known.update(answers.find(prints[first : first + 512]))
    left = [ref for ref, name in zip(slices, prints, strict=True) if name not in known]
    if not chatting.config.entry.over_http:
        return Forecast(len(left), 0.0)
    if not left:
        return Forecast(0, 0.0 if chatting.price else None)
    return forecast_cost(len(left), chatting.body(SliceRenderer(store), left[len(left) // 2]), chatting.price)
