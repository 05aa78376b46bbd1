"""A hard cap on money: what a request can cost is taken before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...workspace.answer_ledger import NANO
from .chat import ChatReply
from .prices import Price


class Budget:
    """Keeps the sum of what was paid, what may have been, and what is under way below a cap.

    Args:
        usd: The cap in dollars over all runs on the ledger; None sets none.
        price: Of the model; None counts nothing, which a cap does not allow.
        spent: Nano-dollars that were paid before, or may have been.

    Example:
        >>> budget = Budget(1e-6, Price(input_usd=0, output_usd=1, picture_tokens=0), spent=0)
        >>> budget.take(600), budget.take(600)
        (True, False)
        >>> budget.settle(600, 100)
        >>> budget.take(600)
        True
    """

    def __init__(self, usd: float | None, price: Price | None, spent: int) -> None:
        if usd is not None and price is None:
            raise ValueError("a budget needs a price")
        # Down, so that no fraction of a nano-dollar passes the cap.
        self._cap = None if usd is None else int(usd * NANO)
        self._price = price
        self.spent = spent
        # Servers that count more tokens than there are bytes make all later reservations larger.
        self._factor = 1.0

    def most(self, body: Mapping[str, Any]) -> int:
        """Returns what has to be reserved for a body, in nano-dollars."""
        return 0 if self._price is None else round(self._price.most(body) * self._factor + 0.5)

    def take(self, cost: int) -> bool:
        """Reserves an amount; False where that would pass the cap."""
        if self._cap is not None and self.spent + cost > self._cap:
            return False
        self.spent += cost
        return True

    def settle(self, reserved: int, cost: int) -> None:
        """Puts what was paid into the place of what was reserved."""
        self.spent += cost - reserved
        if cost > reserved > 0:
            self._factor *= cost / reserved

    def cost(self, reply: ChatReply, reserved: int) -> int:
        """Returns what a reply cost in nano-dollars; all that was reserved where the server does not count tokens."""
        if self._price is None:
            return 0
        if reply.prompt_tokens is None or reply.completion_tokens is None:
            return reserved
        return self._price.cost(reply.prompt_tokens, reply.completion_tokens)
