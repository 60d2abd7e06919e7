"""Kills processes of a server at random while a crowd asks it, and judges what the crowd saw."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from crowd import Crowd
from server import Server

KINDS = ("server", "worker")
NOTICE_S = 5.0
"""A caller on a busy machine may learn so late that its connection was cut."""
ENOUGH = 3
"""Kills of each kind without which a fire shows nothing."""
ANSWERED_BETWEEN_KILLS = 20
"""A process that is killed before it was ready shows nothing; on a slow machine nothing else would happen."""


@dataclass(frozen=True)
class Kill:
    at: float
    """`time.monotonic()`"""
    pid: int
    kind: str
    """`server` or `worker`"""


class Fire:
    """`kill -9` of API processes and workers in random order.

    Args:
        every_s: mean time between two kills.
    """

    def __init__(self, server: Server, every_s: float, seed: int = 0) -> None:
        self.kills: list[Kill] = []
        self._server = server
        self._every_s = every_s
        self._chance = random.Random(seed)

    async def burn(self, crowd: Crowd, for_s: float) -> None:
        """Kills for so long, and until it was enough; between two kills some requests are answered."""
        end = time.monotonic() + for_s
        while time.monotonic() < end or min(self.counts()[kind] for kind in KINDS) < ENOUGH:
            await asyncio.gather(
                asyncio.sleep(self._chance.uniform(0.5, 1.5) * self._every_s),
                crowd.more(ANSWERED_BETWEEN_KILLS),
            )
            kind = self._chance.choice(KINDS)
            victims = await asyncio.to_thread(self._server.pids, kind)
            if victims:
                self._kill(self._chance.choice(victims), kind)

    def _kill(self, pid: int, kind: str) -> None:
        with suppress(ProcessLookupError):  # it ended since it was listed
            os.kill(pid, signal.SIGKILL)
            self.kills.append(Kill(time.monotonic(), pid, kind))

    def counts(self) -> Counter[str]:
        return Counter(kill.kind for kill in self.kills)

    def judge(self, crowd: Crowd) -> None:
        """What may have happened to the callers, and no more.

        Raises:
            AssertionError: says what else happened.
        """
        allowed = {"right", "cut", "poison"}
        assert set(crowd.counts) <= allowed, crowd.counts
        killed = {kill.pid: kill.at for kill in self.kills if kill.kind == "server"}
        lost: Counter[int] = Counter()
        for cut in crowd.cuts:
            # A connection that had no answer yet tells no process: it is one of those killed just before.
            pid = cut.pid or _latest(killed, cut.at)
            assert pid in killed, f"cut off by process {cut.pid}, which nobody killed"
            assert killed[pid] <= cut.at + 0.1, "cut off before the kill"
            late_s = cut.at - killed[pid]
            known = "it had answered" if cut.pid else "the last one killed before, as it had not answered"
            assert late_s < NOTICE_S, f"cut off {late_s:.1f} s after the kill of process {pid} ({known})"
            lost[pid] += 1
        for pid, count in lost.items():
            assert count <= crowd.size, f"{count} requests of {crowd.size} callers lost with process {pid}"
        # Two kills must meet the same request, the second while it runs alone.
        assert crowd.counts["poison"] <= self.counts()["worker"] / 2, crowd.counts


def _latest(killed: dict[int, float], at: float) -> int:
    before = [(when, pid) for pid, when in killed.items() if when <= at + 0.1]
    return max(before)[1] if before else 0
