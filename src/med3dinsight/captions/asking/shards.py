"""Asking from several processes, or machines of a cluster: one answer ledger a shard, merged at the end of each.

A shard's folder lies beside the ledger that it is merged into, where all machines see it. What a killed run left there
is merged first, so nothing that was paid is lost. Equal pictures are asked about once in each shard.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ...engines import ENGINES, Failed, num_processes
from ...errors import InputError, Med3DInsightError
from ...records import SliceRef
from ...workspace.answer_ledger import ANSWERS, NANO, AnswerLedger
from ...workspace.answer_merge import merge_answers
from .jobs import Asked, Outcome

#: Folder of the shards, beside the ledger; no captioner's request files can have that name.
SHARDS = "_shards"
SHARD_SLICES = 1024
#: An answer that cannot be read is asked for again: a shard may need more than its slices cost at most.
_SPARE = 3


@dataclass(frozen=True)
class Shard:
    """Slices that one process asks about.

    Attributes:
        folder: Of its ledger.
        slices: All without an answer.
        budget_usd: What it may spend.
        concurrency: Requests under way, at most: the share of a process.
    """

    folder: Path
    slices: tuple[SliceRef, ...]
    budget_usd: float | None
    concurrency: int


@dataclass(frozen=True)
class ShardDone:
    """What became of a shard; durable in its ledger.

    Attributes:
        folder: Of its ledger.
        outcomes: Of its slices, but those that are left.
        asked: Counts.
    """

    folder: Path
    outcomes: list[Outcome]
    asked: Asked


def merge_left_shards(ledger: AnswerLedger) -> int:
    """Merges what runs that were killed left, and returns how many shards that were."""
    left = sorted(ledger.path.with_name(SHARDS).glob("*"))
    for folder in left:
        _merge(ledger, folder)
    return len(left)


def _merge(ledger: AnswerLedger, folder: Path) -> None:
    if (folder / ANSWERS).exists():
        merge_answers(ledger, folder).result()
    shutil.rmtree(folder, ignore_errors=True)


def ask_in_shards(
    ask: Callable[[Shard], ShardDone],
    slices: Iterable[SliceRef],
    ledger: AnswerLedger,
    *,
    fingerprint: Callable[[SliceRef], str],
    deliver: Callable[[list[Outcome]], None],
    engine: str,
    workers: int,
    concurrency: int = 16,
    budget_usd: float | None = None,
    most_usd: float = 0.0,
    shard_slices: int = SHARD_SLICES,
) -> Asked:
    """Asks about all slices that have no answer, shard by shard.

    Args:
        ask: Asks about a shard, in another process; it and shards are pickled.
        slices: Read as they are needed.
        ledger: Where all answers come to.
        fingerprint: Name of all that decides a slice's request.
        deliver: Is given what is done, in this thread.
        engine: A name of :data:`~med3dinsight.engines.ENGINES`.
        workers: Shards at a time.
        concurrency: Requests under way of all processes together, at most; each has one at least.
        budget_usd: A hard cap on all that the ledger has ever paid; shards get parts of what is left of it.
        most_usd: The most that one request can cost; a budget needs it.
        shard_slices: Slices of a shard.

    Raises:
        FatalError: No request can be answered. What shards have paid for is merged by the next run.
    """
    merge_left_shards(ledger)
    run = _Sharded(ledger, fingerprint, deliver, budget_usd, most_usd, shard_slices)
    run.share = lambda: max(1, concurrency // num_processes(engine, workers))
    spent, rest = ledger.spent(), iter(slices)
    while True:
        before, run.short = run.asked.requests_sent, False
        for done in ENGINES[engine](ask, run.shards(rest), workers):
            if isinstance(done, Failed):
                raise (InputError if done.expected else Med3DInsightError)(done.reason, done.hint)
            run.take(done)
        # Shards that are done may have given back what others lacked.
        if not run.short or run.asked.requests_sent == before:
            break
    if run.short or run.kept:
        run.asked.stopped = "budget"
        run.leave(rest)
    run.asked.cost_usd = (ledger.spent() - spent) / NANO
    return run.asked


class _Sharded:
    """Hands out shards with their money, and takes them back."""

    def __init__(
        self,
        ledger: AnswerLedger,
        fingerprint: Callable[[SliceRef], str],
        deliver: Callable[[list[Outcome]], None],
        budget_usd: float | None,
        most_usd: float,
        shard_slices: int,
    ) -> None:
        self._ledger, self._fingerprint, self._deliver = ledger, fingerprint, deliver
        self._cap = None if budget_usd is None else int(budget_usd * NANO)
        self._most = int(most_usd * NANO) + 1
        self._shard_slices = shard_slices
        self._handed_out: dict[Path, int] = {}
        self.kept: tuple[SliceRef, ...] = ()
        self.short = False
        self.asked = Asked()
        self.share: Callable[[], int] = lambda: 1

    def shards(self, slices: Iterator[SliceRef]) -> Iterator[Shard]:
        """Yields shards as long as there is money for them."""
        while refs := self.kept or self._next_unknown(slices):
            money = self._money(len(refs))
            if money is not None and money < self._most:
                self.kept, self.short = refs, True
                return
            self.kept = ()
            folder = self._ledger.path.with_name(SHARDS) / uuid.uuid4().hex
            self._handed_out[folder] = money or 0
            yield Shard(folder, refs, None if money is None else money / NANO, self.share())

    def _money(self, slices: int) -> int | None:
        if self._cap is None:
            return None
        free = self._cap - self._ledger.spent() - sum(self._handed_out.values())
        return min(free, slices * self._most * _SPARE)

    def _next_unknown(self, slices: Iterator[SliceRef]) -> tuple[SliceRef, ...]:
        """Returns slices without an answer, and hands on or leaves the others; none at the end."""
        while refs := tuple(islice(slices, self._shard_slices)):
            prints = [self._fingerprint(ref) for ref in refs]
            known = self._ledger.find(prints)
            found = [Outcome(ref.key, known[name]) for ref, name in zip(refs, prints, strict=True) if name in known]
            self.asked.cached += len(found)
            self._count(found)
            waiting = self._ledger.waiting([name for name in prints if name not in known])
            self.asked.leave_waiting(waiting.values())
            dealt_with = known.keys() | waiting.keys()
            if unknown := tuple(ref for ref, name in zip(refs, prints, strict=True) if name not in dealt_with):
                return unknown
        return ()

    def _count(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            self.asked.count(outcome.answer)
        if outcomes:
            self._deliver(outcomes)

    def take(self, done: ShardDone) -> None:
        """Merges a shard: its answers are durable in the one ledger before its slices count as done."""
        _merge(self._ledger, done.folder)
        del self._handed_out[done.folder]
        self._count(done.outcomes)
        for name in ("cached", "left", "waiting", "requests_sent"):
            setattr(self.asked, name, getattr(self.asked, name) + getattr(done.asked, name))
        self.asked.stopped = self.asked.stopped or done.asked.stopped

    def leave(self, slices: Iterator[SliceRef]) -> None:
        """Counts what is left for a later run; slices that are answered are still handed on."""
        refs = self.kept
        while refs:
            self.asked.left += len(refs)
            refs = self._next_unknown(slices)
