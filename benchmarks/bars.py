"""What issue and design ask of tiffin beside its peers, and whether a run met it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from large_array import BAR_S, BAR_TIMES, Trip
from rounds import Measured
from scaling import BAR as BAR_GROWTH
from scaling import Step, growth

OURS = "tiffin"
TIMES_MOSEC = {"W1-64": 1.8, "W1-256": 1.8, "W2-64": 2.0, "W3-64": 1.5}
LONE_P50_MS = 0.5
PER_S = 12_000
CAPACITY_SHARE = 0.95
P99_TO_P50 = 1.3
CPU_US = 120.0


@dataclass(frozen=True)
class Bar:
    """`met` is none when the run lacks what it takes to say."""

    asked: str
    seen: str
    met: bool | None


def bars(measured: Measured, trips: list[Trip], steps: list[Step], capacity_per_s: float) -> list[Bar]:
    """Every bar, in the order of the works.

    Args:
        capacity_per_s: of W4: what its model does in full batches without a server, in the same run.
    """
    return [*_beside_mosec(measured), *_alone(measured, capacity_per_s), *_large(trips), *_growth(steps)]


def _beside_mosec(measured: Measured) -> Iterator[Bar]:
    for work, times in TIMES_MOSEC.items():
        ours, theirs = measured.best(OURS, work), measured.best("mosec", work, "mosec-prompt")
        asked = f"{work}: at least {times} × mosec"
        if ours is None or theirs is None:
            yield Bar(asked, "not measured", None)
        else:
            ratio = ours.per_s / theirs.per_s
            yield Bar(asked, f"{ratio:.2f} × ({ours.per_s:,.0f} : {theirs.per_s:,.0f})", ratio >= times)


def _alone(measured: Measured, capacity_per_s: float) -> Iterator[Bar]:
    lone, slow, busy = (measured.best(OURS, work) for work in ("W1-1", "W4-256", "W1-64"))
    if lone is not None:
        asked = f"W1-1: p50 at most {LONE_P50_MS} ms"
        yield Bar(asked, f"{lone.p50_ms:.2f} ms", lone.p50_ms <= LONE_P50_MS)
    if slow is not None:
        share, tail = slow.per_s / capacity_per_s, slow.p99_ms / slow.p50_ms
        asked = f"W4: at least {CAPACITY_SHARE:.0%} of the {capacity_per_s:,.0f} rows/s of its model alone"
        yield Bar(asked, f"{share:.1%}", share >= CAPACITY_SHARE)
        yield Bar(f"W4: p99 at most {P99_TO_P50} × p50", f"{tail:.2f} ×", tail <= P99_TO_P50)
    if busy is not None:
        asked = f"W1-64: at least {PER_S:,} requests/s"
        yield Bar(asked, f"{busy.per_s:,.0f}", busy.per_s >= PER_S)
        asked = f"W1-64: at most {CPU_US:.0f} µs of CPU a request, all processes"
        yield Bar(asked, f"{busy.cpu:.0f} µs", busy.cpu <= CPU_US)
    errors = sum(one.errors for one in measured.series.values() if one.peer == OURS)
    yield Bar("no errors", f"{errors}", errors == 0)


def _large(trips: list[Trip]) -> Iterator[Bar]:
    for trip in trips:
        if trip.peer == OURS:
            yield Bar(f"38 MB: under {BAR_S} s", f"{trip.median_s:.3f} s", trip.median_s < BAR_S)
            asked = f"38 MB: memory at most {BAR_TIMES:.0f} × the array"
            yield Bar(asked, f"{trip.times:.1f} ×", trip.times <= BAR_TIMES)


def _growth(steps: list[Step]) -> Iterator[Bar]:
    if steps:
        least = min(growth(steps))
        asked = f"scaling: throughput at least {BAR_GROWTH} × linear in processor time"
        yield Bar(asked, f"{least:.2f} ×", least >= BAR_GROWTH)
