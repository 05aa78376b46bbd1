"""Refusals, believed once an answer shows that not every request is refused.

A wrong parameter is refused as one slice with a doubtful picture is (400). Were it believed at once, a whole data set
would be marked as refused for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ...errors import FatalError
from ...workspace.answer_ledger import Answer, AnswerLedger, Paid
from .jobs import Job
from .reading import REFUSED

#: So many refusals before any answer mean that all requests would be refused.
ALL_REFUSED = 8


class Refusals:
    """Keeps refusals until they are believed.

    Args:
        ledger: Where they are written down for good.
        finish: Told what becomes of a slice.
        proven: Whether such requests are answered; None: they are where the ledger has an answer.
    """

    def __init__(
        self, ledger: AnswerLedger, finish: Callable[[Job, Answer], None], *, proven: bool | None = None
    ) -> None:
        self._ledger, self._finish = ledger, finish
        self._believed = ledger.num_answers("answered") > 0 if proven is None else proven
        self._kept: dict[str, tuple[str, list[Job]]] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    def join(self, key: str, job: Job) -> None:
        """Adds a slice whose request was refused already."""
        self._kept[key][1].append(job)

    async def add(self, key: str, message: str, job: Job) -> None:
        """Adds a request that was refused.

        Raises:
            FatalError: All are refused.
        """
        self._kept[key] = (message, [job])
        if self._believed:
            await self.write()
        elif len(self._kept) >= ALL_REFUSED and (error := self.doubt()) is not None:
            raise error

    def doubt(self) -> FatalError | None:
        """Returns the error that all are refused; None where none is, or an answer came."""
        if self._believed or not self._kept:
            return None
        message = next(iter(self._kept.values()))[0]
        return FatalError(
            f"the server refuses every request: {message}",
            "check the model and the settings of the request; no slice was marked as refused",
        )

    def prove(self) -> None:
        """Tells that such requests are answered: what is refused is refused for its own sake."""
        self._believed = True

    async def believe(self) -> None:
        """Writes down what was refused so far: an answer came."""
        self.prove()
        await self.write()

    async def write(self) -> None:
        """Writes all that are kept down for good."""
        kept, self._kept = self._kept, {}
        for key, (message, jobs) in kept.items():
            prints = [job.fingerprint for job in jobs]
            # No reservation has the number 0.
            await asyncio.wrap_future(self._ledger.settle(0, key, Paid(message), REFUSED, prints))
            for job in jobs:
                self._finish(job, REFUSED)
