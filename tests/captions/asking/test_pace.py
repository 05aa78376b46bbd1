from __future__ import annotations

import asyncio

from med3dinsight.captions.asking.pace import LONGEST_RETRY_AFTER, Pace, Patience


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def a_pace(most: int = 16, **patience: float) -> tuple[Pace, Clock]:
    clock = Clock()
    return Pace(most, Patience(**patience), clock), clock  # type: ignore[arg-type]


def is_open(pace: Pace) -> bool:
    """Whether a turn is given at once."""

    async def ask() -> bool:
        async def turn() -> None:
            async with pace.turn():
                pass

        task = asyncio.create_task(turn())
        for _ in range(3):
            await asyncio.sleep(0)
        given = task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return given

    return asyncio.run(ask())


def test_trouble_halves_once_for_all_that_was_under_way_and_answers_bring_it_back() -> None:
    pace, clock = a_pace(16)
    clock.now += 1
    for _ in range(5):
        pace.troubled(100.5)
    assert pace.window == 8
    pace.troubled(101.5)
    assert pace.window == 4
    for _ in range(200):
        pace.answered()
    assert pace.window == 16


def test_a_server_that_asks_to_wait_gets_nothing_before() -> None:
    pace, clock = a_pace()
    pace.troubled(clock.now, retry_after=30)
    clock.now += 29.9
    assert not is_open(pace)
    clock.now += 0.2
    assert is_open(pace)
    pace.troubled(clock.now, retry_after=1e9)
    clock.now += LONGEST_RETRY_AFTER + 1
    assert is_open(pace)


def test_troubles_in_a_row_break_the_circuit_for_longer_each_time_until_an_answer_comes() -> None:
    pace, clock = a_pace(troubles=3, first_wait=10, longest_wait=35)
    for _ in range(2):
        pace.troubled(clock.now)
    assert is_open(pace)
    for wait in (10, 20, 35, 35):
        pace.troubled(clock.now)
        clock.now += wait - 0.1
        assert not is_open(pace)
        clock.now += 0.2
        assert is_open(pace)
        assert pace.window == 1
    assert pace.outage > 99
    pace.answered()
    assert pace.outage == 0
    pace.troubled(clock.now)
    assert is_open(pace)


def test_never_more_are_under_way_than_the_window_and_all_get_their_turn() -> None:
    async def run() -> tuple[int, int]:
        pace = Pace(4, Patience())
        under_way = most = done = 0

        async def request(number: int) -> None:
            nonlocal under_way, most, done
            async with pace.turn() as begun:
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0.0005)
                under_way -= 1
            done += 1
            if number % 7 == 0:
                pace.troubled(begun, retry_after=0.002)
            else:
                pace.answered()

        await asyncio.wait_for(asyncio.gather(*(request(number) for number in range(200))), 20)
        return most, done

    most, done = asyncio.run(run())
    assert (most, done) == (4, 200)


def test_a_turn_that_is_cancelled_while_it_waits_is_lost_to_nobody() -> None:
    async def run() -> None:
        pace = Pace(1, Patience())
        release = asyncio.Event()

        async def hold() -> None:
            async with pace.turn():
                await release.wait()

        async def brief() -> None:
            async with pace.turn():
                pass

        holder = asyncio.create_task(hold())
        await asyncio.sleep(0)
        waiting = [asyncio.create_task(brief()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        release.set()
        await asyncio.wait_for(asyncio.gather(holder, *waiting[1:]), 5)

    asyncio.run(run())
