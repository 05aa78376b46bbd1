"""A chat model in this process that fails as servers do, and keeps books of what it was asked and paid for."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from med3dinsight.captions.asking.asking import ask_all
from med3dinsight.captions.asking.chat import BusyError, ChatReply, DownError, FatalError
from med3dinsight.captions.asking.jobs import Asked, Job, Outcome
from med3dinsight.captions.asking.pace import Patience
from med3dinsight.captions.asking.prices import Price
from med3dinsight.captions.asking.requests import key_of
from med3dinsight.captions.asking.shards import Shard, ShardDone
from med3dinsight.records import SliceRef
from med3dinsight.workspace.answer_ledger import AnswerLedger

#: One dollar for a thousand tokens, whichever.
PRICE = Price(input_usd=1000, output_usd=1000, picture_tokens=50)
QUICK = Patience(first_wait=0.001, longest_wait=0.01, outage=30)


@dataclass(frozen=True)
class Said:
    """A readable answer."""

    text: str
    plane: str = ""
    modality: str = ""


def parse(content: str) -> Said:
    """Reads ``{"caption": TEXT}``, and nothing else."""
    said = json.loads(content)
    if not isinstance(said, dict) or not isinstance(said.get("caption"), str):
        raise ValueError("wrong schema")
    return Said(said["caption"], said.get("plane", ""))


def text_of(body: Mapping[str, Any]) -> str:
    """The text that a body is answered with."""
    return f"About {body['messages'][0]['content']}"


@dataclass
class FaultyModel:
    """Answers :func:`text_of`; a share of its replies goes wrong, each kind alike.

    Attributes:
        faults: Share of requests that go wrong.
        seconds: How long it takes.
        answers: Another way to answer a body, where it is not the usual one.
    """

    faults: float = 0.0
    seconds: float = 0.0
    seed: int = 0
    answers: Callable[[Mapping[str, Any]], ChatReply] | None = None
    asked: Counter[str] = field(default_factory=Counter)
    readable: Counter[str] = field(default_factory=Counter)
    paid: int = 0
    under_way: int = 0
    most_under_way: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    async def complete(self, body: Mapping[str, Any]) -> ChatReply:
        key = key_of(body)
        self.asked[key] += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.seconds)
            return self._answer(key, body)
        finally:
            self.under_way -= 1

    def _answer(self, key: str, body: Mapping[str, Any]) -> ChatReply:
        if self.answers is not None:
            return self.answers(body)
        content = json.dumps({"caption": text_of(body)})
        if self._random.random() < self.faults:
            kind = self._random.choice(["429", "503", "cut", "schema", "disconnect", "lost"])
            if kind == "429":
                raise BusyError("429", retry_after=self._random.choice([None, 0.0, 0.003]))
            if kind in ("503", "disconnect"):
                raise DownError(kind, maybe_paid=kind != "503")
            if kind == "lost":  # paid, and the reply never arrives
                self._pay(30, 40)
                raise DownError("connection reset")
            content = content[:-3] if kind == "cut" else '["a list"]'
        else:
            self.readable[key] += 1
        return ChatReply(content, *self._pay(30, 40), "faulty-1", "stop")

    def _pay(self, prompt: int, completion: int) -> tuple[int, int]:
        self.paid += PRICE.cost(prompt, completion)
        return prompt, completion


def body_about(what: object) -> dict[str, Any]:
    """A small body."""
    return {"model": "faulty", "messages": [{"role": "user", "content": f"slice {what}"}], "max_tokens": 60}


@dataclass
class Books:
    """What jobs were drawn, and what was delivered."""

    drawn: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    flags: dict[str, tuple[str, ...]] = field(default_factory=dict)
    delivered: Counter[str] = field(default_factory=Counter)

    def jobs(self, count: int, content: Callable[[int], object] = lambda number: number) -> Iterator[Job]:
        """Slices whose requests differ by ``content``."""
        for number in range(count):
            yield Job(f"s{number}", f"print-{number}", self._body(number, content), "axial", "CT")

    def _body(self, number: int, content: Callable[[int], object]) -> Callable[[], dict[str, Any]]:
        def draw() -> dict[str, Any]:
            self.drawn.append(f"s{number}")
            return body_about(content(number))

        return draw

    def deliver(self, outcomes: list[Outcome]) -> None:
        """Keeps texts and flags."""
        for outcome in outcomes:
            self.delivered[outcome.slice_key] += 1
            self.texts[outcome.slice_key] = outcome.answer.text
            self.flags[outcome.slice_key] = outcome.answer.flags


def ask(
    folder: Path,
    model: FaultyModel,
    jobs: Iterator[Job],
    books: Books,
    *,
    into: list[Outcome] | None = None,
    **settings: Any,
) -> Asked:
    """One run on the ledger of a folder."""
    settings.setdefault("patience", QUICK)
    deliver = books.deliver if into is None else into.extend
    with AnswerLedger(folder, create=True) as ledger:
        return ask_all(jobs, model, ledger, parse=parse, deliver=deliver, **settings)


def ask_about_shard(shard: Shard, *, faults: float = 0.0, fails_at: int = -1) -> ShardDone:
    """Asks about slices by their index alone; the books of what was asked lie beside the shard's folder."""
    seed = int(shard.folder.name[:6], 16)
    model, books = FaultyModel(faults=faults, seed=seed), Books()
    outcomes: list[Outcome] = []

    def job(ref: SliceRef) -> Job:
        def draw() -> dict[str, Any]:
            if ref.index == fails_at:
                raise FatalError("quota gone", "buy some")
            return body_about(ref.index)

        return Job(ref.key, f"print-{ref.index}", draw)

    try:
        asked = ask(
            shard.folder, model, map(job, shard.slices), books, budget_usd=shard.budget_usd, price=PRICE, into=outcomes
        )
    finally:
        with (shard.folder.parent.parent / "asked.txt").open("a") as file:
            file.write("".join(f"{key} {number}\n" for key, number in model.asked.items()) + f"paid {model.paid}\n")
    return ShardDone(shard.folder, outcomes, asked)
