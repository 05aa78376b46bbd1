"""Asks a chat model about many slices: lazily, many at a time, each question once.

The order of things keeps money safe: what a request can cost is taken from the budget, then reserved on the disk, then
the request is sent; its reply is on the disk, in the place of the reservation, before the slice counts as done.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

from ...workspace.answer_ledger import NANO, Answer, AnswerLedger
from .budget import Budget
from .chat import ChatModel, RefusedError
from .jobs import Asked, Description, Job, Outcome
from .pace import Pace, Patience
from .prices import Price
from .reading import judge
from .refusals import Refusals
from .requests import key_of
from .reserving import Reservations
from .sending import Sender

#: Slices that are looked up, and handed on, at a time.
_CHUNK = 512
#: Seconds after which what is done is handed on, however little.
_SOON = 1.0


def ask_all(
    jobs: Iterable[Job],
    model: ChatModel,
    ledger: AnswerLedger,
    *,
    parse: Callable[[str], Description],
    deliver: Callable[[list[Outcome]], None],
    concurrency: int = 16,
    budget_usd: float | None = None,
    price: Price | None = None,
    patience: Patience | None = None,
    waiting: Mapping[str, str] | None = None,
    proven: bool | None = None,
) -> Asked:
    """Asks about every slice that is not answered in the ledger.

    Args:
        jobs: Read as they are needed; memory does not grow with them.
        model: Who answers; where it has a coroutine ``aclose``, that is awaited at the end.
        ledger: Where answers are kept, and found.
        parse: Reads an answer, see :func:`~med3dinsight.captions.asking.reading.read_reply`.
        deliver: Is given what is done, many slices at a time, in the thread that called.
        concurrency: Requests under way, at most.
        budget_usd: A hard cap in dollars on all that the ledger has ever paid.
        price: Of the model; needed by a budget.
        patience: How long to wait for a server in trouble.
        waiting: Places of questions that wait in batch files, by key, beside those that the ledger knows of.
        proven: Whether the model answers requests of this kind, so that a refusal is about the slice; None: it does
            where the ledger has an answer. Until one comes no refusal is believed.

    Raises:
        FatalError: No request can be answered, or the server gave no answer for long. What was under way is kept.
        DiskFullError: What is told to be durable cannot be written. Nothing is sent after the first write that fails;
            replies that came are written again and again for some seconds.
    """
    budget = Budget(budget_usd, price, ledger.spent())
    asking = _Asking(model, ledger, parse, deliver, budget, patience or Patience(), concurrency, waiting or {}, proven)
    return asyncio.run(_closing(model, asking.run(iter(jobs))))


async def _closing(model: ChatModel, run: Coroutine[Any, Any, Asked]) -> Asked:
    """Closes a model's connections in the event loop that they belong to."""
    try:
        return await run
    finally:
        if (close := getattr(model, "aclose", None)) is not None:
            await close()


class _Asking:
    """One run; everything but drawing and writing happens in one event loop."""

    def __init__(
        self,
        model: ChatModel,
        ledger: AnswerLedger,
        parse: Callable[[str], Description],
        deliver: Callable[[list[Outcome]], None],
        budget: Budget,
        patience: Patience,
        concurrency: int,
        waiting: Mapping[str, str],
        proven: bool | None,
    ) -> None:
        self._ledger, self._parse, self._deliver = ledger, parse, deliver
        self._budget, self._waiting = budget, waiting
        self._spent_before = budget.spent
        self._pace = Pace(concurrency, patience)
        # Twice as many slices as requests: the others are drawn, reserved or written meanwhile.
        self._room = asyncio.Semaphore(2 * concurrency)
        self._drawing = ThreadPoolExecutor(1, "drawing")
        self._asked = Asked()
        self._done: list[Outcome] = []
        self._handed_on = time.monotonic()
        self._under_way: dict[str, asyncio.Event] = {}
        self._error: BaseException | None = None
        self._ended = asyncio.Event()
        self._reservations = Reservations(ledger, budget, self._ended, self._exhausted, self._end)
        self._refusals = Refusals(ledger, self._finish, proven=proven)
        self._sender = Sender(model, self._pace, patience, self._reservations, self._asked, self._ended, self._end)

    async def run(self, jobs: Iterator[Job]) -> Asked:
        tasks: set[asyncio.Task[None]] = set()
        try:
            await self._start_all(jobs, tasks)
            await _all_done(tasks)
        except BaseException as error:  # also Ctrl-C: what was sent is paid for, so its answer is waited for
            self._end(error)
        await _all_done(tasks)
        self._drawing.shutdown()
        if self._error is None:
            self._error = self._refusals.doubt()
        if self._error is None:
            await self._refusals.write()
        self._hand_on()
        if self._error is not None:
            raise self._error
        self._asked.cost_usd = (self._budget.spent - self._spent_before) / NANO
        return self._asked

    async def _start_all(self, jobs: Iterator[Job], tasks: set[asyncio.Task[None]]) -> None:
        while self._error is None and (chunk := list(islice(jobs, _CHUNK))):
            for job in self._unknown(chunk):
                await self._room.acquire()
                if self._ended.is_set():
                    # The budget is used up; slices that are answered are still handed on.
                    self._room.release()
                    self._asked.left += 1
                    continue
                task = asyncio.create_task(self._guarded(job))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            await asyncio.sleep(0)

    def _unknown(self, chunk: list[Job]) -> list[Job]:
        """Hands on the slices that are answered, leaves those whose question waits, and returns the others."""
        known = self._ledger.find([job.fingerprint for job in chunk])
        for job in chunk:
            if job.fingerprint in known:
                self._asked.cached += 1
                self._finish(job, known[job.fingerprint])
                if known[job.fingerprint].status == "answered":
                    self._refusals.prove()
        unknown = [job for job in chunk if job.fingerprint not in known]
        waiting = self._ledger.waiting([job.fingerprint for job in unknown])
        self._asked.leave_waiting(waiting.values())
        return [job for job in unknown if job.fingerprint not in waiting]

    def _finish(self, job: Job, answer: Answer) -> None:
        self._asked.count(answer)
        self._done.append(Outcome(job.slice_key, answer))
        if len(self._done) >= _CHUNK or time.monotonic() - self._handed_on > _SOON:
            self._hand_on()

    def _hand_on(self) -> None:
        done, self._done = self._done, []
        if done:
            self._deliver(done)
        self._handed_on = time.monotonic()

    def _end(self, error: BaseException | None) -> None:
        """Nothing more is sent; an error ends the run once what is under way is done."""
        self._error = self._error or error
        self._ended.set()
        self._pace.open()
        self._reservations.tell()

    def _exhausted(self) -> None:
        self._asked.stopped = "budget"
        self._end(None)

    async def _guarded(self, job: Job) -> None:
        try:
            await self._deal_with(job)
        except Exception as error:
            self._end(error)
        finally:
            self._room.release()

    async def _deal_with(self, job: Job) -> None:
        body, key = await asyncio.get_running_loop().run_in_executor(self._drawing, _drawn, job)
        while True:
            if key in self._refusals:
                self._refusals.join(key, job)
                return
            if (answer := self._ledger.answer(key)) is not None:
                await asyncio.wrap_future(self._ledger.index([job.fingerprint], key))
                self._asked.cached += 1
                self._finish(job, answer)
                return
            if place := self._waiting.get(key, "") or self._ledger.waits_in(key):
                await asyncio.wrap_future(self._ledger.index([job.fingerprint], key))
                self._asked.leave_waiting([place])
                return
            if self._ended.is_set() or key in self._sender.given_up:
                self._asked.left += 1
                return
            if key not in self._under_way:
                break
            await self._under_way[key].wait()
        dealt_with = self._under_way[key] = asyncio.Event()
        try:
            await self._ask(job, key, body)
        finally:
            del self._under_way[key]
            dealt_with.set()

    async def _ask(self, job: Job, key: str, body: Mapping[str, Any]) -> None:
        """Asks until something becomes of it."""
        replies = self._ledger.num_attempts(key)
        while True:
            most = self._budget.most(body)
            reservation = await self._reservations.take(key, most)
            reply, reservation = await self._sender.reply(key, body, reservation, most)
            if reply is None:
                self._asked.left += 1
                return
            if isinstance(reply, RefusedError):
                await self._reservations.give_back(reservation, most)
                await self._refusals.add(key, reply.message, job)
                return
            replies += 1
            answer = judge(reply, job, self._parse, replies=replies, same_again=body.get("temperature") == 0)
            await self._reservations.settle(reservation, most, key, reply, answer, job.fingerprint)
            if answer is not None:
                self._finish(job, answer)
                if answer.status == "answered":
                    await self._refusals.believe()
                return


async def _all_done(tasks: set[asyncio.Task[None]]) -> None:
    while tasks:
        await asyncio.wait(tasks)


def _drawn(job: Job) -> tuple[Mapping[str, Any], str]:
    body = job.body()
    return body, key_of(body)
