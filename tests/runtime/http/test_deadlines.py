"""Deadlines: one timer, in order, nothing left behind."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tiffin.runtime.http import deadlines
from tiffin.runtime.http.deadlines import Deadlines


class Item:
    def __init__(self, timeout_s: float, now: float, expired: list[Item]) -> None:
        self.timeout_s = timeout_s
        self.deadline = now + timeout_s
        self.expired = expired

    def expire(self) -> None:
        self.expired.append(self)


class Timer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """A loop whose time is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Timer, Any, Any]] = []
        self.made = 0

    def call_later(self, delay: float, function: Any, *args: Any) -> Timer:
        timer = Timer()
        self.made += 1
        self.timers.append((self.now + delay, timer, function, args))
        return timer

    def call_soon(self, function: Any, *args: Any) -> Timer:
        return self.call_later(0.0, function, *args)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [entry for entry in self.timers if not entry[1].cancelled and entry[0] <= end]:
            entry = min(due, key=lambda entry: entry[0])
            self.timers.remove(entry)
            self.now = entry[0]
            entry[2](*entry[3])
        self.now = end

    @property
    def waiting(self) -> int:
        return sum(not timer.cancelled for _, timer, _, _ in self.timers)


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Loop()
    monkeypatch.setattr(deadlines, "_monotonic", lambda: made.now)
    return made


def test_each_expires_at_its_deadline(loop: Any) -> None:
    queue, expired = Deadlines(), list[Item]()
    items = []
    for number in range(30):
        item = Item((5.0, 1.0, 2.5)[number % 3], loop.now, expired)
        items.append(item)
        queue.add(item, loop)
        loop.advance(0.1)
    gone = {id(item) for item in items[::5]}
    for item in items[::5]:
        queue.discard(item)
    before = len(expired)
    loop.advance(20)
    assert before < len(expired)
    left = [item for item in items if id(item) not in gone or item in expired]
    assert expired == sorted(left, key=lambda item: item.deadline)
    assert queue._queues == {}


def test_one_timer_and_none_when_idle(loop: Any) -> None:
    queue, expired = Deadlines(), list[Item]()
    for _ in range(1000):
        item = Item(30.0, loop.now, expired)
        queue.add(item, loop)
        queue.discard(item)
        loop.advance(0.001)
    assert loop.made == 1
    loop.advance(100)
    assert (loop.waiting, expired) == (0, [])


def test_a_shorter_deadline_moves_the_timer(loop: Any) -> None:
    queue, expired = Deadlines(), list[Item]()
    long, short = Item(30.0, loop.now, expired), Item(0.5, loop.now, expired)
    queue.add(long, loop)
    queue.add(short, loop)
    loop.advance(1)
    assert expired == [short]
    assert loop.waiting == 1


def test_an_answer_at_the_deadline_comes_first_however_late_the_loop_is() -> None:
    """As that of a dispatcher, which says why: no worker came in time."""
    told: list[Any] = []

    async def main() -> None:
        loop, queue = asyncio.get_running_loop(), Deadlines()
        answered = loop.create_future()
        loop.call_later(0.02, answered.set_result, "why")
        item = Item(0.02, time.monotonic(), told)
        queue.add(item, loop)

        async def work() -> None:
            told.append(await asyncio.shield(answered))
            queue.discard(item)

        working = asyncio.create_task(work())
        await asyncio.sleep(0)
        time.sleep(0.1)  # somebody holds up the loop  # noqa: ASYNC251
        loop.call_later(-0.01, time.sleep, 0.01)  # and again once both have rung
        await working
        await asyncio.sleep(0.05)

    asyncio.run(main())
    assert told == ["why"]


def test_expiring_may_add(loop: Any) -> None:
    queue, expired = Deadlines(), list[Item]()

    class Again(Item):
        def expire(self) -> None:
            super().expire()
            queue.add(Item(1.0, loop.now, expired), loop)

    queue.add(Again(1.0, loop.now, expired), loop)
    loop.advance(5)
    assert len(expired) == 2
