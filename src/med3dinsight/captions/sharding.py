"""What a process of many does: it asks about its shard of slices, with a ledger of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..workspace import Workspace
from ..workspace.answer_ledger import AnswerLedger
from ..workspace.voxel_store import VoxelStore
from .asking.asking import ask_all
from .asking.jobs import Outcome
from .asking.shards import Shard, ShardDone
from .models.registry import CHAT_MODELS
from .privacy.audit_log import NAME, AuditLog
from .privacy.logged_model import logged
from .prompts.answer import parse_answer
from .settled import Chatting


class ShardAsker:
    """Asks about shards; it can be sent to another process or machine that sees the workspace under the same path.

    The key of an endpoint does not travel with it: each machine's environment must hold it.

    Args:
        chatting: As settled.
        root: Folder of the workspace.
        waiting: Places of the questions that wait in batch files, by key; a shard's ledger does not know them.
        proven: Whether the model answers such questions; a shard's ledger does not know that either.
    """

    def __init__(self, chatting: Chatting, root: Path, waiting: Mapping[str, str], *, proven: bool) -> None:
        self._chatting, self._root, self._waiting, self._proven = chatting, root, waiting, proven

    def __call__(self, shard: Shard) -> ShardDone:
        """Asks about all slices of a shard.

        Raises:
            FatalError: No question can be answered; what was paid stays in the shard's ledger.
        """
        config, outcomes = self._chatting.config, list[Outcome]()
        workspace = Workspace(self._root)
        store = VoxelStore(workspace.prepared)
        with (
            AuditLog(workspace.asked / NAME) as log,
            AnswerLedger(shard.folder, create=True) as answers,
        ):
            asked = ask_all(
                self._chatting.jobs(store, shard.slices),
                logged(CHAT_MODELS[config.captioner](config), log, self._chatting.permission),
                answers,
                parse=parse_answer,
                deliver=outcomes.extend,
                concurrency=shard.concurrency,
                budget_usd=shard.budget_usd,
                price=self._chatting.price,
                waiting=self._waiting,
                proven=self._proven,
            )
        return ShardDone(shard.folder, outcomes, asked)
