"""38 MB of float32 there and back through each peer that takes bytes: seconds, and memory at the peak."""

from __future__ import annotations

import http.client
import statistics
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import numpy as np
from family import Family
from payloads import ARRAY
from peer import DidNotStartError, Peer

ARRAY_MB = ARRAY.nbytes / 1e6
PATIENCE_S = 60.0
BAR_S = 0.3
BAR_TIMES = 3.0
"""Memory over that of the idle server, in arrays."""


@dataclass
class Trip:
    """One peer's way of sending it."""

    peer: str
    form: str
    seconds: list[float] = field(default_factory=list)
    idle_mb: float = 0.0
    peak_mb: float = 0.0

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)

    @property
    def times(self) -> float:
        """Memory that the round trips took over the idle server, in arrays."""
        return (self.peak_mb - self.idle_mb) / ARRAY_MB


class Watch:
    """The most memory that a family had inside the `with`, looked at without a pause: not to be timed."""

    def __init__(self, family: Family) -> None:
        self.family = family
        self.peak_mb = 0.0
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:  # noqa: PYI034 - Self is from Python 3.11 on
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    def _look(self) -> None:
        pids = self.family.pids()
        while not self.done.is_set():
            self.peak_mb = max(self.peak_mb, Family.memory_of_mb(pids))


def trips(peers: list[Peer], times: int, scratch: Path) -> tuple[list[Trip], dict[str, str]]:
    """Those that could, fastest first, and why the others could not."""
    made, failed = [], {}
    for peer in peers:
        if "echo" not in peer.requests:
            failed[peer.title] = "takes no array in bytes over HTTP"
            continue
        print(f"  {ARRAY_MB:.0f} MB: {peer.title}", file=sys.stderr, flush=True)
        try:
            made.append(trip(peer, times, scratch))
        except (DidNotStartError, OSError, http.client.HTTPException) as error:
            failed[peer.title] = f"{type(error).__name__}: {error}"[:200]
    return sorted(made, key=lambda one: one.median_s), failed


def trip(peer: Peer, times: int, scratch: Path) -> Trip:
    form, request = list(peer.requests["echo"].items())[-1]
    one = Trip(peer.name, form)
    with peer.start("echo", scratch) as running:
        one.idle_mb = running.family.memory_mb()
        with Watch(running.family) as watch:
            for _ in range(2):
                answer = running.ask(request, PATIENCE_S)
        one.peak_mb = watch.peak_mb
        if not np.array_equal(np.asarray(request.read(answer)).ravel(), ARRAY.ravel()):
            raise DidNotStartError("another array came back")
        for _ in range(times):
            began = perf_counter()
            running.ask(request, PATIENCE_S)
            one.seconds.append(perf_counter() - began)
    return one
