"""Real processes die in every way while callers ask: who fails, counted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import crowd
import pytest
from fire import Fire
from server import Server

BURN_S = 10.0


def until(condition: Callable[[], bool], limit_s: float = 60) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it never became true"
        time.sleep(0.01)


@pytest.mark.chaos
@pytest.mark.slow
def test_kill_9_of_anything_costs_only_what_was_in_its_hands(tmp_path: Path) -> None:
    crowd.write(tmp_path)

    async def play(server: Server) -> None:
        callers = crowd.Crowd(server.base_url, 64)
        fire = Fire(server, every_s=0.6)
        stop = asyncio.Event()
        asking = asyncio.ensure_future(callers.ask_until(stop))
        await callers.more(100)
        await fire.burn(callers, BURN_S)
        await callers.more(200)  # it goes on afterwards
        stop.set()
        await asking
        print(dict(callers.counts), dict(fire.counts()), f"slowest {callers.slowest_s:.2f} s")
        assert min(fire.counts()["server"], fire.counts()["worker"]) >= 3
        fire.judge(callers)

    with Server(tmp_path, "--processes", "2", "--no-access-log") as server:
        asyncio.run(play(server))
        until(lambda: len(server.pids("server")) == len(server.pids("worker")) == 2)
        assert server.stop() == 0
