"""The four families of the judge: a random scenario of each seed, and what the policy makes of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from .fixed import Fixed, Table
from .optimum import optimum
from .service import Service, random_service
from .simulator import Driven, Outcome, Source, simulate
from .sources import Clients, Poisson

MAX_ROWS = 64
LIMIT_S = 0.1

Make = Callable[[int, float, int], Driven]
"""(max_rows, max_latency_s, workers) → policy."""


@dataclass(frozen=True)
class Figure:
    """What a policy did in one scenario."""

    value: float
    """The measure of the family."""
    scenario: str
    """In words."""


Run = Callable[[int, Make], Figure]
"""(seed, policy) → what it did."""


@dataclass(frozen=True)
class Family:
    name: str
    measure: str
    mean: float
    """Bar for the mean over the seeds."""
    worst: float
    """Bar for each seed."""
    most: bool
    """Whether larger is better."""
    run: Run


def _drive(
    policy: Driven,
    service: Service,
    source: Callable[[Random], Source],
    *,
    workers: int,
    seconds: float,
    seed: int,
    warm_up: float = 0.2,
    slow_first: tuple[float, ...] = (),
) -> Outcome:
    return simulate(
        policy,
        service.sample,
        source(Random(seed + 1)),
        workers=workers,
        seconds=seconds,
        warm_up_s=warm_up * seconds,
        seed=seed,
        slow_first=slow_first,
    )


KINDS = ("linear", "step", "knee")


def open_loop(
    seed: int, make: Make, *, requests: int = 20_000, heaviest: float = 0.98, warm_up: float = 0.2
) -> Figure:
    """Mean latency over that of the optimum (one worker, Poisson), or of the best fixed policy (else)."""
    rng = Random(seed)
    kind = rng.choice(KINDS)
    workers = rng.choice((1, 1, 2))
    limit = rng.choice((LIMIT_S, 1.0, math.inf))
    service = random_service(rng, kind, largest_s=0.5 * min(limit, 0.4))
    load = rng.choice((rng.uniform(0.05, 0.9), rng.uniform(0.9, 0.98)))
    burst = rng.choice((1.0, 1.0, rng.uniform(2, 16)))
    if burst > 1:
        load = min(load, 0.8)
    rate = min(load, heaviest) * workers * service.capacity(MAX_ROWS)
    seconds = requests / rate

    def source(random: Random) -> Source:
        return Poisson(rate, random, burst)

    def mean(policy: Driven) -> float:
        return _drive(
            policy, service, source, workers=workers, seconds=seconds, seed=seed, warm_up=warm_up
        ).mean_s

    if workers == 1 and burst == 1:
        best = mean(Table(optimum(service, rate, MAX_ROWS)[1]))
    else:
        best = min(mean(policy) for policy in open_fixed(service, workers))
    value = mean(make(MAX_ROWS, limit, workers)) / best
    text = f"{service}, W={workers}, load {min(load, heaviest):.2f}, bursts of {burst:.0f}, L={limit}"
    return Figure(value, text)


def open_fixed(service: Service, workers: int) -> list[Fixed]:
    """Fixed policies for open loops; the last ones only differ with several workers."""
    knee = service.best_rows(MAX_ROWS)
    caps = {1, 2, 4, 8, 16, 32, 64, knee, service.step}
    family = [Fixed(cap, workers=workers) for cap in sorted(caps)]
    if workers > 1:
        for cap in sorted({knee, service.step, 4, 1}):
            family += [Fixed(cap, 1, workers=workers, split=True)]
        family += [
            Fixed(knee, 1, workers=workers, apart=apart, split=split)
            for apart in (2, 4, 8, 16, 32)
            if apart <= knee
            for split in (False, True)
        ]
    return family


def closed_loop(seed: int, make: Make, *, requests: int = 20_000) -> Figure:
    """Throughput over that of the best fixed policy."""
    rng = Random(seed)
    kind = rng.choice(KINDS)
    workers = rng.choice((1, 1, 2))
    service = random_service(rng, kind, largest_s=0.05)
    number = round(math.exp(rng.uniform(0, math.log(256))))
    number = rng.choice((number, number, 64, 256))
    think_s = rng.choice((0.0, 0.2e-3, 1e-3, 5e-3, 20e-3))
    think = rng.choice(("constant", "exponential"))
    seconds = min(60.0, requests / (workers * service.capacity(MAX_ROWS)) + 3 * think_s + 1.0)

    def source(random: Random) -> Source:
        return Clients(number, think_s, random, think)

    def throughput(policy: Driven) -> float:
        return _drive(policy, service, source, workers=workers, seconds=seconds, seed=seed).throughput

    best = max(throughput(policy) for policy in closed_fixed(service, number, workers))
    value = throughput(make(MAX_ROWS, LIMIT_S, workers)) / best
    text = f"{service}, W={workers}, {number} clients, think {think_s * 1e3:g} ms {think}"
    return Figure(value, text)


def closed_fixed(service: Service, number: int, workers: int) -> list[Fixed]:
    """Caps, and thresholds with windows."""
    knee = service.best_rows(MAX_ROWS)
    family = [Fixed(cap, workers=workers) for cap in sorted({1, 4, 16, 64, knee})]
    for share in (1, 2, 4):
        least = max(1, min(knee, number // share))
        family += [Fixed(knee, least, window, workers=workers) for window in (0.5e-3, 2e-3, 8e-3, 30e-3)]
    family += [Fixed(knee, max(1, min(knee, number // workers)), 0.1, workers=workers)]
    return family


def overload(seed: int, make: Make, *, requests: int = 30_000) -> Figure:
    """Answers within L a second, over the lesser of what is asked and what can be done."""
    rng = Random(seed)
    kind = rng.choice(KINDS)
    workers = rng.choice((1, 1, 2))
    service = random_service(rng, kind, largest_s=0.4 * LIMIT_S)
    capacity = workers * service.capacity(MAX_ROWS)
    load = rng.uniform(0.9, 2.0)
    rate = load * capacity
    seconds = max(requests / rate, 2.0)
    outcome = _drive(
        make(MAX_ROWS, LIMIT_S, workers),
        service,
        lambda random: Poisson(rate, random),
        workers=workers,
        seconds=seconds,
        seed=seed,
    )
    value = outcome.goodput(LIMIT_S) / min(rate, capacity)
    return Figure(value, f"{service}, W={workers}, load {load:.2f}")


def cold_start(seed: int, make: Make) -> Figure:
    """Throughput in the 2 s after the first 10 s, over that of the same policy once warm."""
    rng = Random(seed)
    kind = rng.choice(KINDS)
    workers = rng.choice((1, 1, 2))
    service = random_service(rng, kind, largest_s=0.4 * LIMIT_S)
    while service.capacity(MAX_ROWS) > 4000:  # ten seconds of a faster one take minutes to simulate
        service = random_service(rng, kind, largest_s=0.4 * LIMIT_S)
    capacity = workers * service.capacity(MAX_ROWS)
    number = rng.choice((16, 64, 256))
    think_s = rng.choice((0.2e-3, 1e-3, 5e-3))
    slow = tuple(rng.uniform(0.2, 3.0) / service.mean(MAX_ROWS) for _ in range(2))
    tail = max(0.5, min(4.0, 4000 / capacity))

    def throughput(slow_first: tuple[float, ...], start_s: float) -> float:
        outcome = simulate(
            make(MAX_ROWS, LIMIT_S, workers),
            service.sample,
            Clients(number, think_s, Random(seed + 1)),
            workers=workers,
            seconds=start_s + tail,
            warm_up_s=start_s,
            seed=seed,
            slow_first=slow_first,
        )
        return outcome.throughput

    value = throughput(slow, 10.0) / throughput((), 10.0)
    return Figure(value, f"{service}, W={workers}, {number} clients, slow {slow[0]:.0f}x")


FAMILIES = (
    Family("open loop", "mean latency / optimum", 1.03, 1.15, False, open_loop),
    Family("closed loop", "throughput / best fixed", 0.98, 0.85, True, closed_loop),
    Family("overload", "goodput within L / bound", 0.97, 0.90, True, overload),
    Family("cold start", "throughput after 10 s / warm", 0.85, 0.85, True, cold_start),
)
