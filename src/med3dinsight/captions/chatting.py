"""Texts by a chat model: slices that have none become questions, as far as the privacy guard lets them go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..engines import usable_cores
from ..records import SliceRef
from ..types import Progress
from ..workspace import Workspace
from ..workspace.answer_ledger import NANO, AnswerLedger
from ..workspace.caption_store import CaptionStore, Written
from ..workspace.voxel_store import VoxelStore
from .asking.asking import ask_all
from .asking.jobs import Asked, Outcome
from .asking.shards import SHARD_SLICES, ask_in_shards, merge_left_shards
from .models.batch_recovery import recover_all
from .models.registry import CHAT_MODELS
from .outdated import Outdated
from .privacy.audit_log import NAME, AuditLog
from .privacy.logged_model import logged
from .prompts.answer import parse_answer
from .settled import Chatting
from .sharding import ShardAsker
from .wording import counted

#: Why a slice has no text: its scan must stay on this machine.
HELD_BACK = "held-back"


def ask_about(
    chatting: Chatting,
    workspace: Workspace,
    ledger: CaptionStore,
    store: VoxelStore,
    missing: Iterable[SliceRef],
    outdated: Outdated,
    progress: Progress,
) -> Asked:
    """Asks about slices; every answer is durable in the answer ledger, and then stands in the caption ledger.

    Args:
        chatting: As settled.
        workspace: Whose answers and log are written.
        ledger: Gets the texts.
        store: The volumes.
        missing: The slices that have no text.
        outdated: Replaced by the first answer: the model does answer.
        progress: Told the slices dealt with, and the cost so far.

    Raises:
        FatalError: No question can be answered; the texts so far stay.
        DiskFullError: The disk is full; the texts so far stay.
    """
    config = chatting.config
    done, total = ledger.num_written(config.kept_as), ledger.num_slices()

    with AnswerLedger(workspace.asked, create=True) as answers:

        def put(rows: list[Written]) -> None:
            nonlocal done
            ledger.add(config.kept_as, rows)
            done += len(rows)
            progress(done, total, f"{answers.spent() / NANO:.2f} USD so far" if chatting.price else "")

        deliver = delivering(put, outdated.replace)
        left = min(total - done, config.sample or total)
        progress(done, total, _forecast(chatting, left))
        free = let_go(chatting, store, missing, put)
        merge_left_shards(answers)
        recover_all(answers, workspace.asked)
        proven = not outdated.new and answers.num_answers("answered") > 0
        if config.engine == "ray" or config.workers != 1:
            asker = ShardAsker(chatting, workspace.root, answers.waiting_keys(), proven=proven)
            asked = _ask_in_shards(asker, chatting, answers, store, free, deliver, left)
        else:
            asked = _ask_here(chatting, workspace, answers, store, free, deliver, proven)
        asked.in_doubt_usd = answers.in_doubt() / NANO
        return asked


def _ask_here(
    chatting: Chatting,
    workspace: Workspace,
    answers: AnswerLedger,
    store: VoxelStore,
    slices: Iterable[SliceRef],
    deliver: Callable[[list[Outcome]], None],
    proven: bool,
) -> Asked:
    config = chatting.config
    model = CHAT_MODELS[config.captioner](config)
    with AuditLog(workspace.asked / NAME) as log:
        return ask_all(
            chatting.jobs(store, slices),
            logged(model, log, chatting.permission),
            answers,
            parse=parse_answer,
            deliver=deliver,
            concurrency=config.concurrency,
            budget_usd=config.budget_usd,
            price=chatting.price,
            proven=proven,
        )


def delivering(put: Callable[[list[Written]], None], answered: Callable[[], None]) -> Callable[[list[Outcome]], None]:
    """Returns what puts outcomes into the ledger of texts, and tells before that the model does answer."""

    def deliver(outcomes: list[Outcome]) -> None:
        if any(item.answer.status == "answered" for item in outcomes):
            answered()
        put([Written(item.slice_key, item.answer.text, item.answer.flags) for item in outcomes])

    return deliver


def _forecast(chatting: Chatting, left: int) -> str:
    """Says before the first question what all of them cost at most."""
    if chatting.permission is None or not left:
        return ""
    questions = counted(left, "question")
    if chatting.price is None:
        return f"up to {questions}, at a price that is not known"
    return f"up to {questions}, {left * chatting.most_usd():.2f} USD at most"


def _ask_in_shards(
    asker: ShardAsker,
    chatting: Chatting,
    answers: AnswerLedger,
    store: VoxelStore,
    slices: Iterable[SliceRef],
    deliver: Callable[[list[Outcome]], None],
    left: int,
) -> Asked:
    """Asks from several processes; each has a ledger of its own, which is merged when its shard is done."""
    config = chatting.config
    workers = min(config.workers or (usable_cores() if config.engine == "local" else 0), config.concurrency)
    # Few slices are dealt out to all processes; how many a whole cluster has is not known yet.
    shard_slices = min(SHARD_SLICES, -(-left // workers)) if workers else SHARD_SLICES
    return ask_in_shards(
        asker,
        slices,
        answers,
        fingerprint=lambda ref: chatting.fingerprint(store, ref),
        deliver=deliver,
        engine=config.engine,
        workers=workers,
        concurrency=config.concurrency,
        budget_usd=config.budget_usd,
        most_usd=chatting.most_usd(),
        shard_slices=max(1, shard_slices),
    )


def let_go(
    chatting: Chatting, store: VoxelStore, slices: Iterable[SliceRef], put: Callable[[list[Written]], None]
) -> Iterator[SliceRef]:
    """Yields the slices that may be shown to the model; those of scans that must stay on this machine get no text.

    Args:
        chatting: As settled.
        store: The volumes.
        slices: In the order of their volumes.
        put: Gets the slices that stay.
    """
    held: dict[str, bool] = {}
    for ref in slices:
        if chatting.permission is not None and chatting.permission.remote:
            case = store.cases[ref.crop.case]
            if case.id not in held:
                held[case.id] = bool(chatting.permission.reason_to_hold(case, store.volume(case.id)))
            if held[case.id]:
                put([Written(ref.key, "", (HELD_BACK,))])
                continue
        yield ref
