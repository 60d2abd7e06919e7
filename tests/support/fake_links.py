"""Workers without processes, for tests of the dispatcher."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from natural import Natural

from tiffin.errors import WireError
from tiffin.runtime.batching.dispatcher import Dispatcher
from tiffin.runtime.batching.limits import max_latency_s, max_rows
from tiffin.runtime.batching.parcel import Parcel
from tiffin.runtime.batching.request import Request
from tiffin.runtime.manifest import MethodSpec, RunnerSpec
from tiffin.runtime.wire.messages import Failure
from tiffin.runtime.wire.values import pack


class Counts:
    """`RunnerMetrics` that remembers."""

    def __init__(self) -> None:
        self.queue_rows = 0.0
        self.waits: list[float] = []
        self.batches: list[tuple[str, int, str]] = []
        self.sheds: list[str] = []
        self.calls: list[tuple[str, str, int, float]] = []
        """Method, route, rows and seconds waited of every call that was answered."""

    def queue(self, rows: float) -> None:
        assert rows >= 0
        self.queue_rows = rows

    def waited(self, seconds: Sequence[float]) -> None:
        assert list(seconds) == sorted(seconds, reverse=True)
        assert seconds[-1] >= 0
        self.waits += seconds

    def batch(self, method: str, rows: int, reason: str, model_seconds: float) -> None:
        self.batches.append((method, rows, reason))

    def answered(
        self, method: str, calls: Sequence[Request], started: float, model_seconds: float, way_seconds: float
    ) -> None:
        assert way_seconds >= 0
        self.calls += [(method, call.route, call.count, started - call.arrival) for call in calls]

    def shed(self, reason: str) -> None:
        self.sheds.append(reason)


class FakeLink:
    """Keeps what it is sent; the test answers by hand, or gives a function that serves."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        name: str,
        serve: Callable[[FakeLink, Parcel], None] | None = None,
        look: Callable[[Parcel], None] | None = None,
    ):
        self.id = name
        self.dispatcher = dispatcher
        self.sent: list[Parcel] = []
        self.held: deque[Parcel] = deque()
        """One, or one and the next."""
        self.cancelled: list[tuple[int, list[int]]] = []
        self.finished = False
        self.aborted = False
        self._serve = serve
        """Told of a batch when it begins."""
        self._look = look
        """Told of a batch when it is sent."""
        self._gone: dict[int, set[int]] = {}
        """Requests that were cancelled before their batch began."""

    def send(self, parcel: Parcel) -> None:
        assert len(self.held) < 2, "three batches at one worker"
        assert not self.finished
        assert not self.aborted
        pack(parcel.args)  # raises WireError for what cannot travel
        self.held.append(parcel)
        self.sent.append(parcel)
        if self._look is not None:
            self._look(parcel)
        if self._serve is not None and len(self.held) == 1:
            self._serve(self, parcel)

    @property
    def holds(self) -> Parcel | None:
        """The batch that it runs."""
        return self.held[0] if self.held else None

    def cancel(self, batch: int, requests: list[int]) -> None:
        assert batch in [parcel.batch for parcel in self.held]
        self.cancelled.append((batch, requests))
        if self.held[0].batch != batch:
            self._gone.setdefault(batch, set()).update(requests)

    def finish(self) -> None:
        self.finished = True

    def abort(self) -> None:
        self.aborted = True

    # -- what a test lets happen

    def answer(self, value: Any = None, *, dropped: tuple[int, ...] = (), model_s: float = 0.0) -> None:
        """Returns twice the first argument when no value is given, without what was cancelled in time."""
        parcel = self._let_go()
        if value is None:
            rows = parcel.args[0]
            if gone := self._gone.pop(parcel.batch, None):
                dropped = tuple(gone)
                places = np.repeat(np.arange(len(parcel.counts)), parcel.counts)
                rows = rows[~np.isin(places, dropped)]
            value = [row * 2 for row in rows] if isinstance(rows, list) else rows * 2
        self.dispatcher.on_result(self, parcel.batch, value, model_s, list(dropped))

    def fail(self, kind: str = "ValueError", message: str = "bad", **fields: Any) -> None:
        parcel = self._let_go()
        self.dispatcher.on_failure(self, parcel.batch, Failure(kind, message, "Traceback …", **fields))

    def die(self, reason: str = "connection lost") -> None:
        self.held.clear()
        self.dispatcher.remove_worker(self, reason)

    def _let_go(self) -> Parcel:
        assert self.held, "nothing to answer"
        parcel = self.held.popleft()
        if self.held and self._serve is not None:
            self._serve(self, self.held[0])
        return parcel


def runner(**fields: Any) -> RunnerSpec:
    """A runner with the batch methods `double` and `other`, and the plain one `hello`."""
    methods = {"double": MethodSpec(), "other": MethodSpec(), "hello": MethodSpec(batch=False)}
    return RunnerSpec(name="toy", cls="toy:Toy", **{"methods": methods, "max_batch_size": 8, **fields})


class Bench:
    """A dispatcher on virtual time with fake workers.

    Args:
        policy: makes the policy of each method; `Natural` when not given, None for what the server has.
    """

    def __init__(
        self, workers: int = 1, serve: Callable[[FakeLink, Parcel], None] | None = None, **fields: Any
    ):
        loop = asyncio.get_running_loop()
        options = {name: fields.pop(name) for name in ("policy", "stuck_grace_s", "costs") if name in fields}
        self.stuck: list[tuple[str, str]] = []
        self.counts = Counts()
        self.now = loop.time
        spec = runner(workers=max(1, workers), **fields)
        options.setdefault(
            "policy", lambda method: Natural(max_rows(spec, method), max_latency_s(spec, method), 1)
        )
        self.dispatcher = Dispatcher(
            spec,
            metrics=self.counts,
            clock=loop.time,
            on_stuck=lambda worker, reason: self.stuck.append((worker, reason)),
            **options,
        )
        self.links = [self.hire(f"w{number}", serve) for number in range(workers)]

    def hire(
        self,
        name: str,
        serve: Callable[[FakeLink, Parcel], None] | None = None,
        look: Callable[[Parcel], None] | None = None,
    ) -> FakeLink:
        link = FakeLink(self.dispatcher, name, serve, look)
        self.dispatcher.add_worker(link)
        return link

    def call(
        self, *rows: float, method: str = "double", within: float | None = None, **kwargs: Any
    ) -> asyncio.Task[Any]:
        """Starts a call with these rows (float64[n, 1]); the task is the caller."""
        array = np.array(rows, dtype=float).reshape(-1, 1)
        return self.start(method, (array,), kwargs, within)

    def start(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], within: float | None = None
    ) -> asyncio.Task[Any]:
        from tiffin.runtime.service.context import RequestContext, set_context

        async def caller() -> Any:
            if within is not None:
                set_context(RequestContext(deadline=self.now() + within))
            return await self.dispatcher.call(method, args, kwargs)

        return asyncio.ensure_future(caller())


async def settle() -> None:
    """Lets everything run that is ready now; no time passes."""
    for _ in range(10):
        await asyncio.sleep(0)


__all__ = ["Bench", "Counts", "FakeLink", "WireError", "runner", "settle"]
