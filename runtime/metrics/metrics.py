"""What the rest of the runtime counts with.

Every object here belongs to one process and is used by one thread of it.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Protocol, TypeVar

from ... import __version__
from ...errors import ServerError
from . import catalog
from .catalog import Family
from .cells import CellFile, MemoryCells, folder_of
from .series import Counter, Gauge, Histogram, Series, Tally

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

logger = logging.getLogger("tiffin.metrics")

S = TypeVar("S", bound=Series)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})
"""Anything else counts as `other`: callers must not be able to make series without end."""

_MOST_SIZES = 1024
"""Sizes of batches up to this one are told apart."""


class Call(Protocol):
    """One call in a batch, as `RunnerMetrics.answered` reads it."""

    arrival: float
    count: int
    """Rows."""
    route: str
    """Of the request that made the call; empty: of none."""


class Metrics:
    """The metrics of one process. Made by `open`."""

    def __init__(self, file: CellFile, run_folder: Path, process: str, service: str) -> None:
        self.run_folder = run_folder
        self.process = process
        self.service = service
        self._file = file
        self._series: dict[tuple[str, tuple[str, ...]], Series] = {}
        self._bundle: str | None = None

    @classmethod
    def open(cls, run_folder: Path, process: str, service: str) -> Metrics:
        """Starts counting; in memory only when the disk is full, so that requests are answered.

        Args:
            run_folder: the private folder of this server.
            process: `api-0`, `forest-1`, `supervisor`: the place, which comes back after a restart.
            service: name of the service, the label `service`.

        Raises:
            ServerError: the files cannot be written.
        """
        try:
            file = CellFile(folder_of(run_folder), process)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise ServerError(f"cannot write metrics below {run_folder}: {error}; set TMPDIR") from error
            logger.warning("metrics of %s are not kept: %s; make room in %s", process, error, run_folder)
            file = MemoryCells()
        metrics = cls(file, run_folder, process, service)
        metrics.runs(process, os.getpid())
        return metrics

    def request(self, route: str, method: str = "POST") -> RequestMetrics:
        """Counts the requests of one route; keep it, one a route and method.

        Args:
            route: the template, `/classify`, never a path that a caller made up.
            method: HTTP method.
        """
        return RequestMetrics(self, route, method if method in _METHODS else "other")

    def runner(self, name: str) -> RunnerMetrics:
        """Counts the batches of one runner, as this API process sees them; keep it."""
        return RunnerMetrics(self, name)

    def info(self, bundle: str = "") -> None:
        """States what is served, in the place of what was served before: `tiffin_info`.

        Args:
            bundle: tag of the bundle; empty when a folder or class is served.
        """
        if self._bundle is not None and self._bundle != bundle:
            self._remove(catalog.INFO, __version__, self.service, self._bundle)
        self._bundle = bundle
        self.series(Gauge, catalog.INFO, __version__, self.service, bundle).set(1.0)

    def worker_up(self, runner: str, worker: str, up: bool) -> None:
        """Whether a worker is warm.

        Args:
            worker: the place, `forest-1`, which is the same after a restart.
        """
        self.series(Gauge, catalog.WORKER_UP, self.service, runner, worker).set(1.0 if up else 0.0)

    def worker_gone(self, runner: str, worker: str) -> None:
        """Forgets a worker that nothing will take the place of, and its memory."""
        self._remove(catalog.WORKER_UP, self.service, runner, worker)
        self._remove(catalog.PROCESS_MEMORY, worker)

    def unauthorized(self, reason: str) -> None:
        """Counts a call that was turned away.

        Args:
            reason: `missing`, `malformed`, `unknown`, `expired` or `scope`.
        """
        self.series(Counter, catalog.UNAUTHORIZED, self.service, reason).inc()

    def restarted(self, runner: str, reason: str) -> None:
        """Counts a worker that ended by itself.

        Args:
            reason: of a small set, `SIGKILL`, `exit 1`, `out of memory`, `stuck`.
        """
        self.series(Counter, catalog.WORKER_RESTARTS, self.service, runner, reason).inc()

    def workers_wanted(self, runner: str, workers: int) -> None:
        """How many workers a runner is to have."""
        self.series(Gauge, catalog.WORKERS_WANTED, self.service, runner).set(workers)

    def scaled(self, runner: str, reason: str) -> None:
        """Counts a change of that number.

        Args:
            reason: of a small set, `late`, `full`, `refused`, `quiet`, `command`.
        """
        self.series(Counter, catalog.SCALINGS, self.service, runner, reason).inc()

    def runs(self, process: str, pid: int) -> None:
        """Names a process whose memory a scrape is to show; this one is named from the start.

        Args:
            process: the place, `forest-1`; the newest number holds.
            pid: of the process.
        """
        self.series(Gauge, catalog.PROCESS_MEMORY, process).set(pid)

    def series(self, kind: type[S], family: Family, *values: str) -> S:
        """The one series with these label values, made on first use."""
        key = (family.name, _printable(values))
        found = self._series.get(key)
        if not isinstance(found, kind):
            found = self._series[key] = kind(self._file, family, key[1])
        return found

    def close(self) -> None:
        """Ends this process's part: counters and histograms stay readable, gauges go."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _remove(self, family: Family, *values: str) -> None:
        gauge = self._series.pop((family.name, _printable(values)), None)
        if isinstance(gauge, Gauge):
            gauge.remove()


class RequestMetrics:
    """The requests of one route and method. Its series begin with the first one: every protocol has routes of
    its own to the same apis, and most of them nobody asks."""

    __slots__ = ("_codes", "_duration", "_failed", "_in_flight", "_last", "_method", "_metrics", "_route")

    _duration: Histogram
    _failed: Tally
    _last: Tally

    def __init__(self, metrics: Metrics, route: str, method: str) -> None:
        self._metrics = metrics
        self._route = route
        self._method = method
        self._codes: dict[int, Counter] = {}
        self._in_flight: Gauge | None = None

    def begin(self) -> None:
        """A request is complete and its answer is being made."""
        (self._in_flight or self._open()).add(1.0)

    def end(self, code: int, seconds: float) -> None:
        """Its answer was sent.

        Args:
            code: HTTP status; 499 when the caller went away first.
            seconds: since `begin`.
        """
        (self._in_flight or self._open()).add(-1.0)
        self._duration.observe(seconds)
        self._last.set(time())
        if code >= catalog.FAILED:
            self._failed.add(seconds)
        counter = self._codes.get(code)
        if counter is None:
            counter = self._codes[code] = self._metrics.series(
                Counter, catalog.REQUESTS, self._metrics.service, self._route, self._method, str(code)
            )
        counter.inc()

    def _open(self) -> Gauge:
        metrics, labels = self._metrics, (self._metrics.service, self._route)
        self._duration = metrics.series(Histogram, catalog.REQUEST_DURATION, *labels)
        self._failed = metrics.series(Tally, catalog.REQUEST_TALLY, *labels)
        self._last = metrics.series(Tally, catalog.LAST_REQUEST, *labels)
        self._in_flight = in_flight = metrics.series(Gauge, catalog.REQUESTS_IN_FLIGHT, *labels)
        return in_flight


class RunnerMetrics:
    """The batches of one runner, as one API process forms them."""

    __slots__ = (
        "_batches",
        "_calls",
        "_labels",
        "_metrics",
        "_rows",
        "_seconds",
        "_shed",
        "_sizes",
        "_wait",
        "queue",
    )

    def __init__(self, metrics: Metrics, runner: str) -> None:
        self._metrics = metrics
        self._labels = (metrics.service, runner)
        self._wait = metrics.series(Histogram, catalog.QUEUE_WAIT, *self._labels)
        self._rows: dict[str, Histogram] = {}
        self._seconds: dict[str, Histogram] = {}
        self._batches: dict[tuple[str, str], Counter] = {}
        self._shed: dict[str, Counter] = {}
        self._sizes: dict[tuple[str, int], Tally] = {}
        self._calls: dict[tuple[str, str], Tally] = {}
        self.queue = metrics.series(Gauge, catalog.QUEUE_ROWS, *self._labels).set
        """Takes the rows that wait now: called for every call, so it is the cell's own."""

    def waited(self, seconds: Sequence[float]) -> None:
        """Calls left the queue in a batch, this long after they came; the longest first."""
        self._wait.observe_falling(seconds)

    def batch(self, method: str, rows: int, reason: str, model_seconds: float) -> None:
        """A batch came back.

        Args:
            method: of the runner.
            rows: of all its calls.
            reason: why it left when it did: `idle worker`, `full`, `deadline`, `gap`.
            model_seconds: what the worker took to compute it.
        """
        counter = self._batches.get((method, reason))
        if counter is None:
            counter = self._batches[method, reason] = self._metrics.series(
                Counter, catalog.BATCHES, *self._labels, method, reason
            )
        if method not in self._rows:
            self._rows[method] = self._metrics.series(Histogram, catalog.BATCH_ROWS, *self._labels, method)
            self._seconds[method] = self._metrics.series(
                Histogram, catalog.MODEL_SECONDS, *self._labels, method
            )
        counter.inc()
        self._rows[method].observe(rows)
        self._seconds[method].observe(model_seconds)

    def answered(
        self, method: str, calls: Sequence[Call], started: float, model_seconds: float, way_seconds: float
    ) -> None:
        """A batch came back with a result.

        Args:
            method: of the runner.
            calls: all that were in it; at least one.
            started: when the batch was begun, on the clock of `Call.arrival`.
            model_seconds: what the worker took to compute it.
            way_seconds: what the way to the worker and back took besides.
        """
        rows = 0
        left = calls
        while left:
            route = left[0].route
            mine, rest = left, [call for call in left if call.route != route] if len(left) > 1 else []
            if rest:
                mine = [call for call in left if call.route == route]
            number = len(mine)
            my_rows = sum([call.count or 1 for call in mine])
            waited_s = started * number - sum([call.arrival for call in mine])
            self._call(method, route).add(
                number, my_rows, 1.0, waited_s, number * model_seconds, number * way_seconds
            )
            rows += my_rows
            left = rest
        self._size(method, rows).add(1.0, model_seconds, way_seconds)

    def _call(self, method: str, route: str) -> Tally:
        tally = self._calls.get((method, route))
        if tally is None:
            tally = self._calls[method, route] = self._metrics.series(
                Tally, catalog.CALL_TALLY, *self._labels, method, route
            )
        return tally

    def _size(self, method: str, rows: int) -> Tally:
        size = rows if rows <= _MOST_SIZES else 1 << (rows - 1).bit_length()
        tally = self._sizes.get((method, size))
        if tally is None:
            tally = self._sizes[method, size] = self._metrics.series(
                Tally, catalog.SIZE_TALLY, *self._labels, method, str(size)
            )
        return tally

    def shed(self, reason: str) -> None:
        """A call was refused on arrival or dropped from the queue."""
        counter = self._shed.get(reason)
        if counter is None:
            counter = self._shed[reason] = self._metrics.series(Counter, catalog.SHED, *self._labels, reason)
        counter.inc()


def _printable(values: tuple[str, ...]) -> tuple[str, ...]:
    """Without unpaired surrogates, which fit no UTF-8 page."""
    return tuple(value.encode("utf-8", "replace").decode() for value in values)
