"""Sends one request until a reply comes, or it is given up for now."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import DiskFullError, Med3DInsightError
from .chat import BusyError, ChatModel, ChatReply, DownError, FatalError, RefusedError
from .jobs import Asked
from .pace import Pace, Patience
from .reserving import Reservations


class Sender:
    """Keeps to the server's pace.

    Args:
        model: Who answers.
        pace: Lets requests through.
        patience: How long to wait for what.
        reservations: Money for requests that are sent again.
        asked: Counts what is sent.
        ended: Set where nothing more is to be sent.
        end: Called with the error that ends the run.

    Attributes:
        given_up: Keys of the requests that were tried too often.
    """

    def __init__(
        self,
        model: ChatModel,
        pace: Pace,
        patience: Patience,
        reservations: Reservations,
        asked: Asked,
        ended: asyncio.Event,
        end: Callable[[BaseException], None],
    ) -> None:
        self._model, self._pace, self._patience, self._reservations = model, pace, patience, reservations
        self._asked, self._ended, self._end = asked, ended, end
        self.given_up: set[str] = set()

    async def reply(
        self, key: str, body: Mapping[str, Any], reservation: int, most: int
    ) -> tuple[ChatReply | RefusedError | None, int]:
        """Sends a request until a reply comes, and returns it with the reservation that it came for.

        Where it is given up for now, the reply is None and nothing is reserved any more.
        """
        if not reservation:
            return None, 0
        for failures in range(1, self._patience.tries + 1):
            async with self._pace.turn() as begun:
                reply = None if self._ended.is_set() else await self._send(body, begun)
            if isinstance(reply, ChatReply | RefusedError):
                return reply, reservation
            if isinstance(reply, DownError) and reply.maybe_paid:
                self._reservations.lose(most)
                reservation = 0
            if reply is None or self._is_out(reply):
                break
            # A server that says how long to wait closes the gate for all.
            if failures < self._patience.tries and getattr(reply, "retry_after", None) is None:
                await self._pause(self._patience.wait(failures))
            if not reservation and not (reservation := await self._reservations.take(key, most)):
                return None, 0
        else:
            self.given_up.add(key)
        if reservation:
            await self._reservations.give_back(reservation, most)
        return None, 0

    async def _send(self, body: Mapping[str, Any], begun: float) -> ChatReply | Med3DInsightError | None:
        self._asked.requests_sent += 1
        try:
            reply = await self._model.complete(body)
        except (BusyError, DownError) as trouble:
            self._pace.troubled(begun, retry_after=getattr(trouble, "retry_after", None))
            return trouble
        except RefusedError as refusal:
            self._pace.answered()
            return refusal
        except (FatalError, DiskFullError) as error:
            # The log of requests is written before they are sent: where it has no room, nothing was.
            self._end(error)
            return None
        self._pace.answered()
        return reply

    def _is_out(self, trouble: Med3DInsightError) -> bool:
        """Ends the run where the server has not answered for long."""
        if self._pace.outage <= self._patience.outage:
            return False
        message = f"no answer for {self._pace.outage:.0f} seconds; last: {trouble.message}"
        self._end(FatalError(message, "look after the server and run again: it goes on where it stopped"))
        return True

    async def _pause(self, seconds: float) -> None:
        # Spread out, so that what failed together does not come back together.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), seconds * random.uniform(0.5, 1.0))
