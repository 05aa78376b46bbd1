"""A disk that fills up while requests are under way: nothing more is sent, and what came is kept where it can be."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from faulty_model import PRICE, Books, FaultyModel, ask
from full_disk import Room, disk_room

from med3dinsight.captions.asking import reserving
from med3dinsight.captions.asking.budget import Budget
from med3dinsight.captions.asking.chat import ChatReply
from med3dinsight.errors import DiskFullError
from med3dinsight.workspace.answer_ledger import ANSWERS, Answer, AnswerLedger

CONCURRENCY = 16
#: Those under way, and those whose reply is being written meanwhile.
MOST = 2 * CONCURRENCY
GOOD = ChatReply('{"caption": "good"}', 1, 1, "m", "stop")


@pytest.fixture
def room() -> Iterator[Room]:
    with disk_room() as room:
        yield room


def fills(folder: Path, room: Room, seconds: float | None) -> FaultyModel:
    """Answers; with the fortieth answer the disk is full, for some seconds or for good."""
    replies = itertools.count(1)

    def answers(_: Mapping[str, Any]) -> ChatReply:
        if next(replies) == 40:
            room.take_away(folder / f"{ANSWERS}-wal")
            if seconds is not None:
                threading.Timer(seconds, room.give_back).start()
        return GOOD

    model = FaultyModel(answers=answers, seconds=0.01)
    return model


def test_replies_that_came_are_written_once_there_is_room_and_nothing_more_is_sent(tmp_path: Path, room: Room) -> None:
    model, books = fills(tmp_path, room, 0.3), Books()
    with pytest.raises(DiskFullError, match=ANSWERS):
        ask(tmp_path, model, books.jobs(1000), books, concurrency=CONCURRENCY, price=PRICE)
    sent = model.asked.total()
    assert 40 <= sent <= 40 + MOST
    with AnswerLedger(tmp_path) as ledger:
        assert (ledger.num_answers("answered"), ledger.num_open()) == (sent, 0)
    assert len(books.texts) == sent
    rest = ask(tmp_path, FaultyModel(), books.jobs(sent + 5), books)
    assert (rest.cached, rest.requests_sent) == (sent, 5)


def test_where_no_room_comes_back_no_more_is_lost_than_was_under_way_and_it_counts_as_spent(
    tmp_path: Path, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserving, "WAITS", (0.01, 0.02))
    model, books = fills(tmp_path, room, None), Books()
    with pytest.raises(DiskFullError):
        ask(tmp_path, model, books.jobs(1000), books, concurrency=CONCURRENCY, price=PRICE)
    room.give_back()
    with AnswerLedger(tmp_path) as ledger:
        lost = model.asked.total() - ledger.num_answers("answered")
        assert 0 < lost <= MOST
        assert lost <= ledger.num_open() <= MOST and ledger.in_doubt() > 0


def test_a_request_that_the_log_has_no_room_for_is_not_sent_and_costs_nothing(tmp_path: Path) -> None:
    def unlogged(_: Mapping[str, Any]) -> ChatReply:
        raise DiskFullError("no room for the log", "free some")

    model, books = FaultyModel(answers=unlogged), Books()
    with pytest.raises(DiskFullError, match="the log"):
        ask(tmp_path, model, books.jobs(100), books, concurrency=CONCURRENCY, price=PRICE)
    assert model.asked.total() <= CONCURRENCY
    with AnswerLedger(tmp_path) as ledger:
        assert (ledger.num_open(), ledger.spent()) == (0, 0)


def test_a_little_room_serves_some_that_do_not_fit_together(
    tmp_path: Path, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserving, "WAITS", (0.01,))
    ended: list[BaseException] = []

    async def settle_all(ledger: AnswerLedger) -> list[Any]:
        reservations = reserving.Reservations(
            ledger, Budget(None, None, 0), asyncio.Event(), lambda: None, ended.append
        )
        numbers = [await reservations.take(f"key-{number}", 0) for number in range(8)]
        room.take_away(tmp_path / f"{ANSWERS}-wal", 150_000)
        together = threading.Event()
        ledger.submit(lambda _: together.wait(5))
        reply = ChatReply("x" * 30_000, 1, 1, "m", "stop")
        answer = Answer("answered", "text")
        settling = [
            asyncio.ensure_future(reservations.settle(number, 0, f"key-{number}", reply, answer, "print"))
            for number in numbers
        ]
        await asyncio.sleep(0.05)
        together.set()
        return await asyncio.gather(*settling, return_exceptions=True)

    with AnswerLedger(tmp_path, create=True) as ledger:
        results = asyncio.run(settle_all(ledger))
        kept = ledger.num_answers("answered")
        assert 0 < kept == results.count(None) < 8
        assert all(isinstance(error, DiskFullError) for error in ended) and len(ended) == 8
    room.give_back()
