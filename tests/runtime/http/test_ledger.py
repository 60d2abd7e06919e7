"""Answers that leave in one turn of the loop are counted and logged together, each as what it was."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from http_service import Metrics

from tiffin.runtime.http.access_log import AccessLog, Row
from tiffin.runtime.http.ledger import Ledger


def row(status: int, name: str = "id-1") -> Row:
    return ("10.0.0.7:5123", "POST", "/classify", status, 17, 0.00123, name, "")


def entered(ledger: Ledger, *notes: tuple[Any, Row]) -> None:
    """All of them in one turn."""

    async def main() -> None:
        for metrics, each in notes:
            ledger.note(metrics, each)
        await asyncio.sleep(0)

    asyncio.run(main())


@pytest.mark.parametrize(
    "codes", [[200], [200] * 64, [200, 200, 503, 200], [504, 200]], ids=["one", "alike", "mixed", "two"]
)
def test_every_answer_is_counted_once(codes: list[int]) -> None:
    metrics = Metrics()
    classify, words = metrics.request("/classify"), metrics.request("/words")
    routes: list[Any] = [classify if place % 3 else words for place in range(len(codes))]
    for each in routes:
        each.begin()
    entered(Ledger(None), *zip(routes, map(row, codes), strict=True))
    assert sorted(metrics.ended) == sorted(
        (each.route, "POST", code) for each, code in zip(routes, codes, strict=True)
    )
    assert classify.in_flight == words.in_flight == 0


def test_each_turn_is_entered_by_itself() -> None:
    metrics = Metrics()
    route: Any = metrics.request("/classify")
    ledger = Ledger(None)

    async def main() -> None:
        for expected in (1, 2, 3):
            ledger.note(route, row(200))
            assert len(metrics.ended) == expected - 1
            await asyncio.sleep(0)
            assert len(metrics.ended) == expected

    asyncio.run(main())


def test_what_waits_can_be_entered_at_once() -> None:
    metrics = Metrics()
    route: Any = metrics.request("/classify")
    ledger = Ledger(None)

    async def main() -> None:
        ledger.note(route, row(200))
        ledger.enter()
        assert len(metrics.ended) == 1
        await asyncio.sleep(0)

    asyncio.run(main())
    assert len(metrics.ended) == 1, "the turn's end finds nothing left"


def test_lines_keep_the_order_of_the_answers() -> None:
    reading, writing = os.pipe()
    try:
        log = AccessLog(json=False, descriptor=writing)
        route: Any = Metrics().request("/classify")
        entered(Ledger(log), *((route, row(200, f"id-{number}")) for number in range(100)))
        log.close()
        lines = os.read(reading, 60_000).decode().splitlines()
        assert [line.rpartition("id=")[2] for line in lines] == [f"id-{number}" for number in range(100)]
    finally:
        os.close(reading)
        os.close(writing)
