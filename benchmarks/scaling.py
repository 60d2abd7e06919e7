"""P API processes and P workers under growing quotas of processor time: does throughput grow with them?

On a machine of two cores more processes cannot run faster than two, and the load generator needs its share.
So the server is held to a part of a core for each pair of processes, and the rest is left to the generator.
What is shown is that throughput follows the processor time given, which is what cores are. The connections
grow with the pairs, as callers do where a second core is needed.
"""

from __future__ import annotations

import os
import statistics
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from peer import Peer
from quota import Quota
from wrk import wrk

STEPS = (1, 2, 4)
"""Pairs of one API process and one worker."""
USABLE = 0.6
"""Of the machine, for the largest step; the rest is the load generator's."""
CONNECTIONS = 64
"""For each pair."""
BAR = 0.85
"""Of linear growth."""


@dataclass
class Step:
    pairs: int
    cores: float
    per_s: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)

    @property
    def median_per_s(self) -> float:
        return statistics.median(self.per_s)


def scaling(ours: Peer, rounds: int, seconds: int, scratch: Path) -> list[Step]:
    """Throughput of W1 for each step.

    Raises:
        QuotaRefusedError: control groups are not to be had.
    """
    share = USABLE * len(os.sched_getaffinity(0)) / max(STEPS)
    steps = [Step(pairs, share * pairs) for pairs in STEPS]
    request = ours.requests["iris"]["json"]
    for number in range(rounds):
        for step in steps[number % len(steps) :] + steps[: number % len(steps)]:
            print(f"  scaling, round {number + 1}: {step.pairs} pairs", file=sys.stderr, flush=True)
            pairs = ("--processes", str(step.pairs), "--workers", f"classifier={step.pairs}")
            peer = replace(ours, arguments=(*ours.arguments, *pairs))
            with Quota(step.cores) as quota, peer.start("iris", scratch) as running:
                quota.hold(running.family.pids())
                url = running.url(request)
                wrk(url, request.body, connections=CONNECTIONS * step.pairs, seconds=1)
                before = running.family.cpu_s()
                load = wrk(url, request.body, connections=CONNECTIONS * step.pairs, seconds=seconds)
                step.per_s.append(load.requests_per_s)
                step.cpu_us.append((running.family.cpu_s() - before) * 1e6 / max(load.requests, 1))
    return steps


def growth(steps: list[Step]) -> list[float]:
    """Throughput of each step against the first one times the processor time that it had more."""
    first = steps[0]
    return [step.median_per_s / (first.median_per_s * step.cores / first.cores) for step in steps]
