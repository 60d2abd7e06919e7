"""The loop of a worker: one thread that reads what has come, runs one batch, answers it, and looks again."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any

from ...errors import ResultMismatchError, WireError
from ..batching import rows
from ..batching.limits import max_rows
from ..wire import frame
from ..wire.frame import Frame
from ..wire.messages import PROTOCOL, Cancel, Hello, Result, dump, load
from ..wire.values import pack
from .connection import Connection
from .entrance import Entrance
from .inference import Inference
from .job import Job, failure_of

log = logging.getLogger("tiffin.worker")

_READY = select.POLLIN | select.POLLOUT
"""All else that poll tells means that the peer has gone."""


class Server:
    """Serves one inference object on one listening socket until it is told to stop.

    Args:
        listener: a listening stream socket; closed at the end.
    """

    def __init__(self, inference: Inference, listener: socket.socket) -> None:
        self._inference = inference
        self._spec = inference.spec
        self._bell, self._hand = socket.socketpair()
        self._bell.setblocking(False)
        self._hand.setblocking(False)
        self._watched = select.poll()  # a few sockets: the quickest of its kind
        self._entrance = Entrance(listener, self._watched)
        self._watched.register(self._bell, select.POLLIN)
        self._connections: dict[int, Connection] = {}
        """By descriptor."""
        self._jobs: deque[Job] = deque()
        self._served: Connection | None = None
        """Whose batch was run last."""
        self._stop_by = inf
        self._stopping = False
        self._trouble: BaseException | None = None
        """What went wrong with a peer while a batch ran, which has no part in it."""
        if inference.staging is not None:
            inference.staging.meanwhile = self._meanwhile

    def stop(self, limit_s: float) -> None:
        """Ends `run` when what is in hand is answered, or after the limit.

        May be called from other threads and from signal handlers.
        """
        self._stop_by = min(self._stop_by, time.monotonic() + limit_s)
        with contextlib.suppress(BlockingIOError):  # it rings already
            self._hand.send(b"!")

    def run(self) -> int:
        """Serves; gives the number of requests that the limit of `stop` cut off."""
        while True:
            if not self._stopping and self._stop_by < inf:
                self._say_goodbye()
            if self._stopping and not self._connections:
                break
            self._poll()  # also when there is work: what is cancelled until now is not run
            if self._stopping and time.monotonic() >= self._stop_by:  # with all that was sent until now
                break
            if self._jobs:
                self._run_next()
                if self._trouble is not None:
                    raise self._trouble
        abandoned = sum(job.requests for job in self._jobs)
        for connection in list(self._connections.values()):
            self._drop(connection)
        self._bell.close()
        self._hand.close()
        return abandoned

    # -- reading

    def _poll(self, *, wait: bool = True) -> None:
        timeout_ms: float | None = None if wait and not self._jobs else 0
        wake_at = min(self._stop_by, self._entrance.opens_at)
        if timeout_ms is None and wake_at < inf:
            timeout_ms = max(0.0, wake_at - time.monotonic()) * 1000 + 1
        for fd, events in self._watched.poll(timeout_ms):
            connection = self._connections.get(fd)
            if connection is not None:
                self._attend(connection, events)
            elif fd == self._bell.fileno():
                self._bell.recv(64)
            elif fd == self._entrance.fileno():
                self._accept()
        if self._entrance.opens_at < inf:
            self._entrance.open()

    def _accept(self) -> None:
        end = self._entrance.accept()
        if end is None:
            return
        connection = Connection(end)
        self._connections[connection.fileno()] = connection
        self._watched.register(connection, select.POLLIN)

    def _attend(self, connection: Connection, events: int) -> None:
        try:
            if events & select.POLLOUT:
                connection.flush()
                if not connection.unsent:
                    self._watched.modify(connection, select.POLLIN)
            if events & ~select.POLLOUT:
                for received in connection.receive(to_the_end=bool(events & ~_READY)):
                    self._handle(connection, received)
        except WireError as error:
            log.error("%s sent a malformed frame and was disconnected: %s", connection.peer, error)  # noqa: TRY400
            self._drop(connection)
        except OSError:
            self._drop(connection)

    def _handle(self, connection: Connection, received: Frame) -> None:
        if received.kind == frame.CALL:
            connection.check_call(received.batch)
            self._take(connection, received)
        elif received.kind == frame.CANCEL:
            places = load(Cancel, received.head).requests
            for job in self._jobs:
                if job.connection is connection and job.batch == received.batch:
                    job.cancel(places)
        elif received.kind == frame.HELLO:
            self._greet(connection, load(Hello, received.head))
        else:
            raise WireError(f"a frame of kind {received.kind} goes the other way")

    def _take(self, connection: Connection, received: Frame) -> None:
        try:
            job = Job(connection, received, time.monotonic())
        except (ImportError, MemoryError) as error:  # pandas, say, is not installed here
            connection.held.discard(received.batch)
            failure = failure_of(error, 0.0, [])
            self._send(connection, frame.encode(frame.ERROR, received.batch, dump(failure)))
            return
        if job.method not in self._spec.methods:
            raise WireError(f"a call of {job.method!r}, which runner {self._spec.name!r} does not have")
        self._jobs.append(job)

    def _greet(self, connection: Connection, hello: Hello) -> None:
        if connection.greeted:
            raise WireError("hello twice")
        connection.peer = hello.peer
        me = f"{self._spec.name} worker {os.getpid()}"
        shares = connection.arena is not None
        connection.send(frame.encode(frame.HELLO, 0, dump(Hello(PROTOCOL, me, shares))))
        if hello.protocol != PROTOCOL:
            raise WireError(f"{hello.peer} speaks protocol {hello.protocol}, this worker {PROTOCOL}")
        connection.greeted = True
        if self._stopping:
            connection.send(frame.encode(frame.BYE, 0))

    def _say_goodbye(self) -> None:
        """Peers finish what they have here and close; whoever comes now is turned away by the kernel."""
        self._stopping = True
        self._entrance.close()
        for connection in list(self._connections.values()):
            if connection.greeted:
                self._send(connection, frame.encode(frame.BYE, 0))
            else:
                self._drop(connection)

    # -- running

    def _run_next(self) -> None:
        """Runs the next batch, together with all that may go with it."""
        jobs = self._together()
        now = time.monotonic()
        wanted = []
        for job in jobs:
            try:
                left = job.drop(now)
            except BaseException as error:  # noqa: BLE001 - rows of the user's own, taken apart and put together again
                self._fail(job, error, 0.0)
                continue
            if left:
                wanted.append(job)
            else:
                self._answer(job, [], 0.0)
        if len(wanted) > 1 and self._run_joined(wanted):
            return
        for job in wanted:
            self._run(job)

    def _together(self) -> list[Job]:
        first = self._take_turns()
        self._served = first.connection
        jobs = [first]
        # A call that must not run twice cannot be joined: when the whole fails, the parts run again.
        if first.key is None or not self._jobs or not self._spec.retry:
            return jobs
        method = self._spec.methods[first.method]
        room = max_rows(self._spec, method) - first.rows
        left = inf if method.max_cost is None else method.max_cost - first.weight
        rest = []
        peers = {first.connection}  # each times its own batches, so two of one are not run as one
        for job in self._jobs:
            fits = job.rows <= room and job.weight <= left
            if fits and job.key == first.key and job.connection not in peers:
                room -= job.rows
                left -= job.weight
                peers.add(job.connection)
                jobs.append(job)
            else:
                rest.append(job)
        self._jobs = deque(rest)
        return jobs

    def _take_turns(self) -> Job:
        """The oldest batch of another peer than the last one: who sends ahead is always there first."""
        for place, job in enumerate(self._jobs):
            if job.connection is not self._served:
                del self._jobs[place]
                return job
        return self._jobs.popleft()

    def _run(self, job: Job) -> None:
        if job.alone:
            self._send(job.connection, frame.encode(frame.BEGIN, job.batch))
        started = time.perf_counter()
        try:
            value = self._inference.call(job.method, job.args, job.kwargs)
        except BaseException as error:  # noqa: BLE001 - user code
            self._fail(job, error, time.perf_counter() - started)
        else:
            job.args = ()  # lets go of shared memory before the peer hears that it may send again
            self._answer(job, value, time.perf_counter() - started)

    def _run_joined(self, jobs: list[Job]) -> bool:
        """False when the whole raised, so that each has to run by itself."""
        started = time.perf_counter()
        try:
            args = self._inference.join([job.args for job in jobs])
            value = self._inference.call(jobs[0].method, args, jobs[0].kwargs)
        except BaseException:  # noqa: BLE001 - user code; the guilty part raises again by itself
            return False
        model_s = time.perf_counter() - started
        for job in jobs:
            job.args = ()
        try:
            parts = rows.split(value, [job.rows for job in jobs])
        except ResultMismatchError as error:
            for job in jobs:
                self._fail(job, error, model_s)
        else:
            for job, part in zip(jobs, parts, strict=True):
                self._answer(job, part, model_s)
        return True

    # -- while the device computes

    def _meanwhile(self, done: Callable[[], bool]) -> None:
        """Reads what comes until the next batch is here, and begins to copy it; at most until this is done.

        It looks again and again, as CUDA's own waiting does: a batch may take less than the shortest sleep.
        """
        while not self._jobs and self._trouble is None and not done():
            self._glance()
        if self._jobs:
            self._begin_next()

    def _glance(self) -> None:
        try:
            self._poll(wait=False)
        except BaseException as error:  # noqa: BLE001 - not of the batch that runs: raised again behind it
            self._trouble = error

    def _begin_next(self) -> None:
        """What runs in the end may be others: who comes, or cancels, until then is heard."""
        waiting, served = self._jobs.copy(), self._served
        jobs = self._together()
        self._jobs, self._served = waiting, served
        # A suspect is not touched before its peer has heard that it begins.
        if jobs[0].alone or any(job.cancelled for job in jobs):
            return
        try:
            self._inference.begin([job.args for job in jobs])
        except Exception as error:  # noqa: BLE001 - rows of the user's own, or no memory: it is told when they run
            log.warning("the next batch is not copied ahead: %r", error)

    # -- answering

    def _answer(self, job: Job, value: Any, model_s: float) -> None:
        try:
            packed, buffers = pack(value)
            head = dump(Result(packed, model_s, job.dropped))
            pieces = frame.encode(frame.RESULT, job.batch, head, buffers, arena=job.connection.arena)
        except BaseException as error:  # noqa: BLE001 - values of the user's own
            self._fail(job, error, model_s)
            return
        job.connection.held.discard(job.batch)
        self._send(job.connection, pieces)

    def _fail(self, job: Job, error: BaseException, model_s: float) -> None:
        job.connection.held.discard(job.batch)
        failure = failure_of(error, model_s, job.dropped)
        self._send(job.connection, frame.encode(frame.ERROR, job.batch, dump(failure)))

    def _send(self, connection: Connection, pieces: list[frame.Buffer]) -> None:
        if connection.fileno() not in self._connections:
            return
        try:
            connection.send(pieces)
        except OSError:
            self._drop(connection)
            return
        if connection.unsent:
            self._watched.modify(connection, _READY)

    def _drop(self, connection: Connection) -> None:
        """Forgets a peer; what it had sent and nobody waits for any more is not run."""
        if self._connections.pop(connection.fileno(), None) is None:
            return
        self._watched.unregister(connection)
        connection.close()
        if self._served is connection:
            self._served = None
        self._jobs = deque(job for job in self._jobs if job.connection is not connection)
