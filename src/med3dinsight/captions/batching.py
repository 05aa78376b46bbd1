"""Texts by batch files: questions go out in files that the user uploads, answers come in by files that come back.

Services ask about half the price for an answer within a day. Nothing is sent from here: request files lie in
``asked/NAME``; what the service gives back is put into ``asked/NAME/answers``, and the same command
reads it, and writes files for what is still to be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from ..records import SliceRef
from ..types import Progress
from ..workspace import Workspace
from ..workspace.answer_ledger import NANO, AnswerLedger
from ..workspace.caption_store import CaptionStore, Written
from ..workspace.provenance import fingerprint
from ..workspace.voxel_store import VoxelStore
from .asking.budget import Budget
from .asking.jobs import Job, Outcome
from .chatting import delivering, let_go
from .models.batch_reading import BatchRead, read_batch
from .models.batch_recovery import recover_all
from .models.batch_writing import BatchWritten, write_batch
from .outdated import Outdated
from .privacy.audit_log import NAME, AuditLog
from .prompts.answer import parse_answer
from .settled import Chatting

ANSWERS = "answers"
_CHUNK = 512


@dataclass(frozen=True)
class Batched:
    """What became of the slices.

    Attributes:
        folder: Name of the folder of the request files.
        read: What was in the files that came back.
        written: What was written to go out.
        cost_usd: What the answers read now cost.
        in_doubt_usd: What may have been paid for questions that no answer will come to.
    """

    folder: str
    read: BatchRead
    written: BatchWritten
    cost_usd: float
    in_doubt_usd: float

    @property
    def waiting(self) -> dict[str, int]:
        """How many slices wait for answers to request files, by the folder of the files."""
        own = {self.folder: self.written.waiting} if self.written.waiting else {}
        return own | self.written.elsewhere


def ask_by_files(
    chatting: Chatting,
    workspace: Workspace,
    ledger: CaptionStore,
    store: VoxelStore,
    missing: Iterable[SliceRef],
    outdated: Outdated,
    progress: Progress,
) -> Batched:
    """Reads the answers that came back, and writes questions about the slices that have none.

    Args:
        chatting: As settled; its permission is for the service that the files will go to.
        workspace: Whose answers are written.
        ledger: Gets the texts.
        store: The volumes.
        missing: The slices that have no text.
        outdated: Replaced by the first answer: the model does answer.
        progress: Told the slices dealt with.

    Raises:
        InputError: An answer file cannot be read.
        FatalError: Everything was refused.
        DiskFullError: The disk is full; the texts and files so far stay.
    """
    config = chatting.config
    folder = workspace.asked / config.kept_as
    done, total = ledger.num_written(config.kept_as), ledger.num_slices()

    def put(rows: list[Written]) -> None:
        nonlocal done
        ledger.add(config.kept_as, rows)
        done += len(rows)
        progress(done, total)

    assert chatting.permission is not None  # files are for an endpoint, which was judged
    host = chatting.permission.address.host

    settings = fingerprint(config.asked_with())

    def wrote(key: str, num_bytes: int) -> None:
        log.sent(host=host, model=chatting.chosen.model, num_bytes=num_bytes, body_sha256=key)

    with AnswerLedger(workspace.asked, create=True) as answers, AuditLog(workspace.asked / NAME) as log:
        log.allowed(chatting.permission)
        before = answers.paid()
        recover_all(answers, workspace.asked)
        budget = Budget(config.budget_usd, chatting.price, answers.spent())
        (folder / ANSWERS).mkdir(parents=True, exist_ok=True)
        files = sorted((folder / ANSWERS).glob("*.jsonl"))
        read = read_batch(files, answers, folder, parse=parse_answer, budget=budget, same_again=config.always_same)
        cost = (answers.paid() - before) / NANO
        unknown = _unanswered(
            chatting.jobs(store, let_go(chatting, store, missing, put)), answers, delivering(put, outdated.replace)
        )
        written = write_batch(unknown, answers, folder, budget=budget, settings=settings, log=wrote)
        return Batched(folder.name, read, written, cost, answers.in_doubt() / NANO)


def _unanswered(jobs: Iterator[Job], answers: AnswerLedger, deliver: Callable[[list[Outcome]], None]) -> Iterator[Job]:
    """Hands on the slices that are answered, and yields the others."""
    while chunk := list(islice(jobs, _CHUNK)):
        known = answers.find([job.fingerprint for job in chunk])
        done = [Outcome(job.slice_key, known[job.fingerprint]) for job in chunk if job.fingerprint in known]
        if done:
            deliver(done)
        yield from (job for job in chunk if job.fingerprint not in known)
