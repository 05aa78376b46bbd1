"""What captioning would take, said before it starts."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from itertools import islice
from typing import Any

from ..records import SliceRef
from ..slices.rendering import SliceRenderer
from ..workspace import Workspace
from ..workspace.answer_ledger import ANSWERS, AnswerLedger
from ..workspace.voxel_store import VoxelStore
from .asking.prices import Forecast
from .asking.prices import forecast as forecast_cost
from .config import CaptionConfig
from .describing import in_chunks
from .models.batch_ids import NAME as IDS
from .planning import Plan, plan
from .settled import Chatting

_CHUNK = 512


def forecast(config: CaptionConfig, workspace: Workspace) -> dict[str, Any]:
    """Says what captioning would take, and refuses what it would refuse; nothing is sent or changed.

    Returns:
        ``{"slices"}``, and for a chat model also ``{"requests", "most_usd", "notes"}``: how many questions are
        neither answered nor waiting in batch files, what they cost at most (None where no price is known), and what to
        look at before slices leave this machine.

    Raises:
        UserError: As :func:`~med3dinsight.captions.run.run`.
    """
    prepared = workspace.require(workspace.prepared, "prepare")
    store = VoxelStore(workspace.prepared)
    whole = prepared.config.get("protocol") == "cube128"
    if config.entry.way != "chat":
        return {"slices": plan(config, store, whole=whole).num_slices}
    from .settled import settle

    chatting = settle(config, store.cases.values())
    slices = plan(config, store, whole=whole)
    told = _asking(chatting, workspace, store, slices)
    return {"slices": slices.num_slices, "requests": told.requests, "most_usd": told.usd, "notes": list(chatting.notes)}


def _asking(chatting: Chatting, workspace: Workspace, store: VoxelStore, slices: Plan) -> Forecast:
    """Says how many questions are left to ask about some slices, and what they cost at most; nothing is sent.

    Slices are gone through twice, to count and to find a typical one, so that no list of them is held.

    Raises:
        WorkspaceError: The answers were written by a newer version.
    """
    left = sum(1 for _ in _unanswered(chatting, workspace, store, slices))
    if not chatting.config.entry.over_http:
        return Forecast(left, 0.0)
    if not left:
        return Forecast(0, 0.0 if chatting.price else None)
    with contextlib.closing(_unanswered(chatting, workspace, store, slices)) as again:
        typical = next(islice(again, left // 2, None))
    return forecast_cost(left, chatting.body(SliceRenderer(store), typical), chatting.price)


def _unanswered(chatting: Chatting, workspace: Workspace, store: VoxelStore, slices: Plan) -> Generator[SliceRef]:
    if not (workspace.asked / ANSWERS).exists():
        yield from slices
        return
    with AnswerLedger(workspace.asked) as answers:
        # Questions of a folder that was removed are asked anew.
        places = {place for place in answers.waiting_places() if (workspace.asked / place / IDS).exists()}
        for chunk in in_chunks(slices, _CHUNK):
            prints = [chatting.fingerprint(store, ref) for ref in chunk]
            waiting = {name for name, place in answers.waiting(prints).items() if place in places}
            known = answers.find(prints).keys() | waiting
            yield from (ref for ref, name in zip(chunk, prints, strict=True) if name not in known)
