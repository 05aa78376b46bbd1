"""How many requests are under way at a time: as many as the server bears, and none while it asks to wait.

Additive increase, multiplicative decrease: every answer lets a little more through, every trouble halves. Troubles of
requests that were sent before the last cut tell nothing new. After many troubles in a row the circuit is broken:
nothing is sent for a while, and then one request of those that wait, never one made up to probe.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

#: A server that asks for a longer wait is taken at no more than this.
LONGEST_RETRY_AFTER = 900.0


@dataclass(frozen=True)
class Patience:
    """How long to wait for what.

    Attributes:
        first_wait: Seconds before a request is tried again, and that a broken circuit stays open; doubled each time.
        longest_wait: Where doubling ends.
        troubles: Failures in a row that break the circuit.
        outage: Seconds without any answer after which the run ends.
        tries: How often one request is tried before it is left for the next run.
    """

    first_wait: float = 0.5
    longest_wait: float = 60.0
    troubles: int = 8
    outage: float = 900.0
    tries: int = 12

    def wait(self, failures: int) -> float:
        """Returns the seconds to wait after so many failures in a row, from 1."""
        return float(min(self.longest_wait, self.first_wait * 2.0 ** min(failures - 1, 30)))


class Pace:
    """Lets requests through.

    Args:
        most: Requests under way at a time, at most.
        patience: How long to wait for what.
        clock: Seconds; another one in tests.
    """

    def __init__(self, most: int, patience: Patience, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._patience, self._clock = most, patience, clock
        self._window = float(most)
        self._slow_start_to = float(most)
        self._under_way = 0
        self._closed_until = self._last_cut = clock()
        self._trouble_since: float | None = None
        self._troubles = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def window(self) -> int:
        """How many requests may be under way now."""
        return max(1, min(self._most, int(self._window)))

    @property
    def outage(self) -> float:
        """Seconds since the first trouble after the last answer; 0 where there was none."""
        return 0.0 if self._trouble_since is None else self._clock() - self._trouble_since

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Waits for a turn and keeps it; gives the moment it began, to be told with its trouble."""
        while self._under_way >= self.window or self._clock() < self._closed_until:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            self._set_alarm()
            try:
                await place
            except asyncio.CancelledError:
                self._wake()  # this turn may have been given already
                raise
        self._under_way += 1
        try:
            yield self._clock()
        finally:
            self._under_way -= 1
            self._wake()

    def answered(self) -> None:
        """A whole answer came: the circuit is closed, and a little more may go through."""
        self._troubles = 0
        self._trouble_since = None
        slow_start = self._window < self._slow_start_to
        self._window = min(self._most, self._window + (1.0 if slow_start else 1.0 / self._window))

    def troubled(self, begun: float, *, retry_after: float | None = None) -> None:
        """A request failed for now.

        Args:
            begun: The moment its turn began.
            retry_after: Seconds that the server asks to wait, for all requests.
        """
        self._troubles += 1
        now = self._clock()
        self._trouble_since = now if self._trouble_since is None else self._trouble_since
        if begun >= self._last_cut:
            self._last_cut = now
            self._window = self._slow_start_to = max(1.0, self._window / 2)
        if retry_after is not None:
            self._close(min(retry_after, LONGEST_RETRY_AFTER))
        broken = self._troubles - self._patience.troubles
        if broken >= 0:
            self._window = 1.0
            self._close(self._patience.wait(broken + 1))

    def open(self) -> None:
        """Ends all waiting for the server: who gets a turn now is to send nothing."""
        self._closed_until = self._clock()
        self._wake()

    def _close(self, seconds: float) -> None:
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    def _set_alarm(self) -> None:
        wait = self._closed_until - self._clock()
        if wait > 0 and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(wait, self._rung)

    def _rung(self) -> None:
        self._alarm = None
        self._wake()

    def _wake(self) -> None:
        if self._clock() < self._closed_until:
            if self._waiting:
                self._set_alarm()
            return
        free = self.window - self._under_way
        while self._waiting and free > 0:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1
