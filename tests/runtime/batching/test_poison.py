"""Requests that end workers are remembered: how exactly, how long, and when they are cleared."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from fake_links import Bench, FakeLink, settle
from virtual_time import run

from tiffin.errors import PoisonRequestError
from tiffin.runtime.batching import poison
from tiffin.runtime.batching.poison import (
    FIRST_SENTENCE_S,
    LONGEST_SENTENCE_S,
    MAX_REMEMBERED,
    Poison,
    Verdict,
)

BIG = np.arange(100_000.0)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Known(Poison):
    """With what it told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.told: list[Verdict] = []
        super().__init__("toy", self.told.append, self.clock)

    def refused(self, *args: Any, method: str = "double", **kwargs: Any) -> bool:
        try:
            self.check(method, args, kwargs)
        except PoisonRequestError:
            return True
        return False


def test_only_the_same_request_is_refused() -> None:
    known = Known()
    assert not known
    known.condemn("double", (BIG, [1, 2]), {"b": 2, "a": "x"})
    assert known
    assert known.refused(BIG.copy(), [1, 2], a="x", b=2)
    other = BIG.copy()
    other[-1] += 1
    for args, kwargs in [
        ((other, [1, 2]), {"a": "x", "b": 2}),
        ((BIG.astype(np.float32), [1, 2]), {"a": "x", "b": 2}),
        ((BIG.reshape(2, -1), [1, 2]), {"a": "x", "b": 2}),
        ((BIG, [1, 3]), {"a": "x", "b": 2}),
        ((BIG, [1, 2]), {"a": "x", "b": 3}),
        ((BIG, [1, 2]), {"a": "x"}),
        ((BIG,), {"a": "x", "b": 2}),
    ]:
        assert not known.refused(*args, **kwargs)
    assert not known.refused(BIG, [1, 2], method="other", a="x", b=2)
    assert not known.refused(object())  # cannot be sent: that is told elsewhere


def test_after_its_sentence_it_is_tried_and_one_crash_is_enough_for_twice_the_time() -> None:
    known = Known()
    known.condemn("double", (1,), {})
    sentence_s = FIRST_SENTENCE_S
    for _ in range(10):
        known.clock.now += sentence_s - 0.1
        assert known.refused(1)
        known.clock.now += 0.2
        assert known.check("double", (1,), {}) == 1
        known.condemn("double", (1,), {})
        known.condemn("double", (1,), {})  # an equal one that ran at the same time
        sentence_s = min(2 * sentence_s, LONGEST_SENTENCE_S)
    assert len(known.told) == 11


def test_an_answer_clears_it_and_so_does_time() -> None:
    known = Known()
    known.condemn("double", (1,), {})
    known.clear("double", (2,), {})
    assert known.refused(1)
    known.clear("double", (1,), {})
    assert not known
    assert [bool(told.until) for told in known.told] == [True, False]
    known.condemn("double", (1,), {})
    known.clock.now += 2 * FIRST_SENTENCE_S + 1
    assert known.check("double", (2,), {}) == 0  # any request finds out
    assert not known


def test_memory_is_bounded_and_shared() -> None:
    one, other = Known(), Known()
    for number in range(MAX_REMEMBERED + 10):
        one.condemn("double", (number,), {})
    assert not one.refused(9)
    assert one.refused(10)
    assert one.refused(MAX_REMEMBERED + 9)
    for verdict in one.told:
        other.learn(verdict)
    assert not other.told
    assert other.refused(10)
    assert not other.refused(9)


def test_the_large_part_is_read_only_when_the_small_part_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Known()
    known.condemn("double", (BIG,), {})
    read: list[int] = []
    whole = poison._whole
    monkeypatch.setattr(poison, "_whole", lambda hasher, buffers: (read.append(1), whole(hasher, buffers))[1])
    assert not known.refused(BIG[:-1])
    assert not read
    assert known.refused(BIG)
    assert len(read) == 1


def _die(bench: Bench, link: FakeLink, name: str) -> FakeLink:
    assert link.holds is not None
    if link.holds.alone:
        bench.dispatcher.on_begin(link, link.holds.batch)
    link.die()
    return bench.hire(name)


def test_a_dispatcher_refuses_it_without_a_third_worker_lost() -> None:
    async def main() -> None:
        bench = Bench()
        guilty = bench.call(3)
        await settle()
        link = _die(bench, bench.links[0], "new1")
        await settle()
        link = _die(bench, link, "new2")
        with pytest.raises(PoisonRequestError, match="while they ran this request"):
            await guilty
        for _ in range(3):
            with pytest.raises(PoisonRequestError, match="an equal request"):
                await bench.call(3)
        assert link.holds is None
        assert bench.counts.queue_rows == 0
        fine = bench.call(4)
        await settle()
        bench.dispatcher._crew.batches()  # it reached the new worker
        (slot,) = bench.dispatcher._crew
        slot.link.answer()  # type: ignore[attr-defined]
        assert (await fine).tolist() == [[8.0]]
        await asyncio.sleep(FIRST_SENTENCE_S + 1)
        again = bench.call(3)  # one crash is enough now
        await settle()
        _die(bench, slot.link, "new3")  # type: ignore[arg-type]
        with pytest.raises(PoisonRequestError):
            await again
        with pytest.raises(PoisonRequestError, match="an equal request"):
            await bench.call(3)

    run(main)


def test_an_equal_request_that_is_answered_clears_it() -> None:
    """Two workers were ended from outside while they ran one of many equal requests."""

    async def main() -> None:
        bench = Bench(workers=2)
        unlucky = bench.call(3)
        await settle()
        link = _die(bench, bench.links[0], "new1")
        await settle()
        first = next(one for one in (link, bench.links[1]) if one.holds)
        idle = link if first is bench.links[1] else bench.links[1]
        lucky = bench.call(3)
        await settle()
        _die(bench, first, "new2")
        with pytest.raises(PoisonRequestError):
            await unlucky
        idle.answer()
        assert (await lucky).tolist() == [[6.0]]
        after = bench.call(3)
        await settle()
        for slot in bench.dispatcher._crew:
            if slot.batch is not None:
                slot.link.answer()  # type: ignore[attr-defined]
        assert (await after).tolist() == [[6.0]]

    run(main)
