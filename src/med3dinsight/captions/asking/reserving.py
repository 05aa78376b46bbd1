"""Money that is set aside before a request is sent: in the budget at once, and on the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

from ...errors import DiskFullError
from ...workspace.answer_ledger import Answer, AnswerLedger, Paid
from .budget import Budget
from .chat import ChatReply

#: Seconds before what has come, and has no room on the disk, is written again: others may end, or make room, meanwhile.
WAITS = (0.1, 0.4, 1.5, 4.0)


class Reservations:
    """Takes from the budget and writes it down, both ways.

    Args:
        ledger: Where it is written down.
        budget: What it is taken from.
        ended: Set where nothing more is to be sent.
        exhausted: Called where the budget has nothing left, and nothing under way can give any back.
        end: Called with the error where the disk is full, at the first write that fails.
    """

    def __init__(
        self,
        ledger: AnswerLedger,
        budget: Budget,
        ended: asyncio.Event,
        exhausted: Callable[[], None],
        end: Callable[[BaseException], None],
    ) -> None:
        self._ledger, self._budget, self._ended, self._exhausted = ledger, budget, ended, exhausted
        self._end_run = end
        self._alone = asyncio.Lock()
        self._under_way = 0
        self._changed = asyncio.Event()

    def tell(self) -> None:
        """Lets those that wait for money look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def take(self, key: str, most: int) -> int:
        """Returns the number of a durable reservation; 0 where there is no money left, or the run has ended."""
        while not self._ended.is_set():
            if self._budget.take(most):
                self._under_way += 1
                return await asyncio.wrap_future(self._ledger.reserve(key, most))
            if not self._under_way:
                self._exhausted()
                break
            # What is under way may cost less than it was reserved for.
            await self._changed.wait()
        return 0

    async def settle(
        self, reservation: int, most: int, key: str, reply: ChatReply, answer: Answer | None, fingerprint: str
    ) -> None:
        """Writes a reply down in the place of its reservation; returns when it is durable."""
        cost = self._budget.cost(reply, most)
        paid = Paid(reply.content, reply.model, reply.prompt_tokens, reply.completion_tokens, cost)
        await self._surely(lambda: self._ledger.settle(reservation, key, paid, answer, [fingerprint]))
        self._end(most, cost)

    async def give_back(self, reservation: int, most: int) -> None:
        """Takes back the reservation of a request that was not paid."""
        await self._surely(lambda: self._ledger.release(reservation))
        self._end(most, 0)

    def lose(self, most: int) -> None:
        """Leaves a reservation as it is, for good: the request may have been paid."""
        self._end(most, most)

    async def _surely(self, write: Callable[[], Future[None]]) -> None:
        """Writes what is paid for; where the disk is full nothing more is sent, and it is tried again a few times.

        Then one at a time: writes that go together fail together, and where there is little room some of them fit.
        """
        try:
            return await asyncio.wrap_future(write())
        except DiskFullError as error:
            full = error
        self._end_run(full)
        for wait in WAITS:
            await asyncio.sleep(wait)
            async with self._alone:
                try:
                    return await asyncio.wrap_future(write())
                except DiskFullError as error:
                    full = error
        raise full

    def _end(self, most: int, cost: int) -> None:
        self._budget.settle(most, cost)
        self._under_way -= 1
        self.tell()
