"""Threads with a bound: what is too much is refused, what is too late is never begun."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from dien.serving.http.bounded import BoundedThreads, LateError
from dien.serving.http.refusals import RefusedError

WAIT = 30


def soon() -> float:
    return time.monotonic() + WAIT


def with_one_held(check: Callable[[BoundedThreads, threading.Event], Awaitable[None]], most: int) -> None:
    """Run a check beside a call that holds the one thread until the event is set."""

    async def run() -> None:
        threads, gate, begun = (
            BoundedThreads(1, "held", most, "too many"),
            threading.Event(),
            threading.Event(),
        )

        def hold() -> str:
            begun.set()
            assert gate.wait(WAIT)
            return "held"

        held = asyncio.ensure_future(threads.run(hold, soon()))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        try:
            await check(threads, gate)
        finally:
            gate.set()
        assert await held == "held"
        while threads.in_hand:
            await asyncio.sleep(0.001)
        threads.close()

    asyncio.run(run())


def test_a_call_that_waits_beyond_its_deadline_is_never_done_and_takes_its_place_until_then() -> None:
    done = list[int]()

    async def check(threads: BoundedThreads, gate: threading.Event) -> None:
        for number in range(2):
            with pytest.raises(LateError) as late:
                await threads.run(lambda number=number: done.append(number), time.monotonic() + 0.01)
            assert not late.value.begun
        assert threads.in_hand == 3
        with pytest.raises(RefusedError) as refused:
            await threads.run(lambda: done.append(2), soon())
        assert (refused.value.status, refused.value.error) == (429, "too many")
        gate.set()
        while threads.in_hand:
            await asyncio.sleep(0.001)
        await threads.run(lambda: done.append(3), soon())

    with_one_held(check, most=3)
    assert done == [3]


def test_a_call_that_takes_longer_than_its_deadline_is_said_to_be_begun() -> None:
    async def run() -> None:
        threads, gate = BoundedThreads(1, "held", 9, "too many"), threading.Event()
        with pytest.raises(LateError) as late:
            await threads.run(lambda: gate.wait(WAIT), time.monotonic() + 0.3)
        assert late.value.begun
        assert threads.in_hand == 1
        gate.set()
        assert await threads.run(lambda: "next", soon()) == "next"
        threads.close()

    asyncio.run(run())


def test_what_a_call_raises_is_raised_where_it_is_waited_for() -> None:
    async def run() -> None:
        threads = BoundedThreads(1, "raising", 1, "too many")
        with pytest.raises(ZeroDivisionError):
            await threads.run(lambda: 1 // 0, soon())
        threads.close()

    asyncio.run(run())
