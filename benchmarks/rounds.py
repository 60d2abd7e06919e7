"""Interleaved rounds: in each, every server is started, warmed, measured, ended; the order turns by one."""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from http.client import HTTPException
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

from peer import DidNotStartError, Peer, Running
from works import WORKS, Work, forms
from wrk import Load, wrk

WARM_S = 1
WARM_FROM = 64
"""Connections: with fewer there is nothing to learn for a server."""


@dataclass
class Series:
    """One peer at one work in one form: a `Load` a round, and the CPU microseconds a request beside each."""

    peer: str
    work: str
    form: str
    loads: list[Load] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    def median(self, figure: Callable[[Load], float]) -> float:
        return statistics.median(map(figure, self.loads))

    @property
    def per_s(self) -> float:
        return self.median(lambda load: load.requests_per_s)

    @property
    def p50_ms(self) -> float:
        return self.median(lambda load: load.p50_ms)

    @property
    def p99_ms(self) -> float:
        return self.median(lambda load: load.p99_ms)

    @property
    def cpu(self) -> float:
        """Microseconds of all processes a request; NaN when nothing was answered in time."""
        return statistics.median(self.cpu_us) if self.cpu_us else math.nan

    @property
    def spread(self) -> tuple[float, float]:
        """Least and most requests a second."""
        rates = [load.requests_per_s for load in self.loads]
        return min(rates), max(rates)

    @property
    def errors(self) -> int:
        return sum(load.errors for load in self.loads)

    def raw(self) -> dict[str, Any]:
        return {**asdict(self), "loads": [asdict(load) for load in self.loads]}


@dataclass
class Measured:
    """All series, and why those are missing that are: (peer, model) → reason."""

    series: dict[tuple[str, str, str], Series] = field(default_factory=dict)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)

    def of(self, work: Work) -> list[Series]:
        """The fastest first."""
        found = [one for one in self.series.values() if one.work == work.key]
        return sorted(found, key=lambda one: -one.per_s)

    def best(self, peer: str, work: str, *others: str) -> Series | None:
        """The fastest form of a work, of a peer and its other set-ups; none when there is no figure."""
        found = [one for one in self.series.values() if one.work == work and one.peer in (peer, *others)]
        return max(found, key=lambda one: one.per_s, default=None)


def measure(peers: list[Peer], rounds: int, seconds: int, scratch: Path) -> Measured:
    """Every work of every peer, `rounds` times; what did not start, or broke down, is not tried again."""
    measured = Measured()
    models = list(dict.fromkeys(work.model for work in WORKS))
    for number in range(rounds):
        turn = number % len(peers)
        for peer in [*peers[turn:], *peers[:turn]]:
            for model in models:
                if model not in peer.requests or (peer.name, model) in measured.failed:
                    continue
                print(f"  round {number + 1} of {rounds}: {peer.title}, {model}", file=sys.stderr, flush=True)
                try:
                    with peer.start(model, scratch) as running:
                        load(measured, running, seconds)
                except DidNotStartError as error:
                    measured.failed[peer.name, model] = f"did not start: {error}"
                except (OSError, HTTPException, CalledProcessError) as error:
                    measured.failed[peer.name, model] = f"stopped answering: {error}"
    return measured


def load(measured: Measured, running: Running, seconds: int) -> None:
    """All works of one running server."""
    peer, model = running.peer, running.model
    requests = peer.requests[model]
    for work in WORKS:
        if work.model != model:
            continue
        for form in forms(work, list(requests)):
            request = requests[form]

            def hammer(duration_s: int, connections: int = work.connections) -> Load:
                return wrk(
                    running.url(request),  # noqa: B023 - called before the next turn
                    request.body,  # noqa: B023
                    connections=connections,
                    seconds=duration_s,
                    content_type=request.content_type,  # noqa: B023
                    headers=request.headers,  # noqa: B023
                )

            if work.connections >= WARM_FROM:
                hammer(WARM_S)
            running.ask(request)  # answered when what was left behind by callers that hung up is worked off
            before = running.family.cpu_s()
            seen = hammer(seconds)
            used_s = running.family.cpu_s() - before
            key = (peer.name, work.key, form)
            series = measured.series.setdefault(key, Series(*key))
            series.loads.append(seen)
            if seen.requests:
                series.cpu_us.append(used_s * 1e6 / seen.requests)
