"""One prediction request from its headers to its answer, whatever door it came through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from ...errors import DeadlineExceededError, ServingError, UnavailableError
from ..service.context import RequestContext, set_context
from ..service.raised import RAISED, pass_on_close
from ..service.trace import request_ids
from . import problem
from .bodies import COUNTED_BYTES
from .dialect import Asked
from .exchange import CLIENT_GONE, Exchange

if TYPE_CHECKING:
    from ..schema.kind import Buffer
    from .dialect import Written

_HEAVY_BYTES = 256 * 1024
"""A result with so many bytes of numbers is encoded in a thread: as JSON it would hold the loop for several
milliseconds."""


class Prediction(Exchange):
    """A request on a prediction route. The door gives it bytes and takes bytes from it.

    The door calls `admit()` when the header is complete, `feed()` for each piece of the body and `launch()`
    when the request is complete and its turn has come; `cancel()` when the caller is gone.
    """

    size = 0

    # What the door calls

    def admit(self) -> None:
        """Keeps the error when the header alone is reason to refuse."""
        self.error = self.head.refusal
        self.parts: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Takes a piece of the body; keeps nothing of a request that is refused anyway."""
        if self.error is None:
            self.size += len(data)
            self.parts.append(data)
            if self.size > COUNTED_BYTES or self.size > self.head.route.max_body_bytes:
                try:
                    self.head.route.check_size(self.size)
                    self._count()
                except ServingError as error:
                    self.error = error
                    self.parts.clear()
                    self.release()

    def _count(self) -> None:
        """Raises OverloadedError when so many bodies are too much for this process."""
        self.serving.bodies.take(self.counted, self.size - self.counted)
        self.counted = self.size

    def launch(self, now: float, loop: asyncio.AbstractEventLoop) -> None:
        """Begins the work with what was fed. `now`: `time.monotonic()`."""
        parts, self.parts = self.parts, []
        self.launch_with(parts[0] if len(parts) == 1 else self.head.join(parts), now, loop)

    def launch_with(self, body: Buffer, now: float, loop: asyncio.AbstractEventLoop) -> None:
        """Begins the work with a whole body."""
        head, serving = self.head, self.serving
        route = head.route
        self.began = now
        self.timeout_s = timeout_s = head.timeout_s
        self.deadline = deadline = now + timeout_s
        self.context = context = RequestContext(head.raw_headers, deadline, route.path)
        if not head.known_as:
            context.given_id = request_ids.next()
        serving.state.in_flight += 1
        head.metrics.begin()
        wrong = self.error or head.objection
        try:
            if wrong is not None:
                return self._fail(wrong)
            if head.method == b"OPTIONS":
                return self._finish(204, "", b"", problem.ALLOW_POST)
            if len(body) < route.heavy_bytes:
                work = self._work(head.decode(body))
            else:
                work = self._decode_and_run(body)
        except RAISED as error:  # a decoder may run the user's validators
            return self._fail(error)
        self.task = loop.create_task(work)
        serving.deadlines.add(self, loop)
        return None

    def cancel(self) -> None:
        """The caller is gone: stops the work, answers nobody."""
        if not self.answered and self.began:
            self._settle(CLIENT_GONE, 0)
        self.release()
        if self.task is not None:
            self.task.cancel()

    def expire(self) -> None:
        self.error = DeadlineExceededError(f"{self.head.route.path} took longer than {self.timeout_s:g} s")
        if self.head.route.stream and self.task is not None:
            self.task.cancel()  # the stream itself says so, in its own form
            return
        self._fail(self.error)
        if self.task is not None:
            self.task.cancel()

    # The work

    async def _decode_and_run(self, body: Buffer) -> None:
        """In a thread, so that the others need not wait for it."""
        try:
            arguments = await self.serving.threads.call(self.head.decode, {"body": body})
        except asyncio.CancelledError:  # as in _run
            return self._fail(UnavailableError("the request was cancelled inside the server"))
        except RAISED as error:  # a decoder may run the user's validators
            pass_on_close(error, self.task)
            return self._fail(error)
        del body  # it may be large, and the work may be long
        work = self._work(arguments)
        del arguments
        return await work

    def _work(self, decoded: dict[str, Any] | Asked) -> Coroutine[Any, Any, None]:
        return self._run_asked(decoded) if isinstance(decoded, Asked) else self._run(decoded)

    async def _run(self, arguments: dict[str, Any]) -> None:
        set_context(self.context)
        head = self.head
        route = head.route
        try:
            if route.stream:
                return await self._stream(route.call(**arguments), head.encoder, head.encoder.media_type)
            if route.is_async:
                value = await route.call(**arguments)
            else:
                value = await self.serving.threads.call(route.call, arguments)
            del arguments  # they may be large, and so may what is written now
            encoder = head.encoder
            media_type = encoder.media_type
            if getattr(value, "nbytes", 0) < _HEAVY_BYTES:
                body = encoder(value)
            else:
                body = await self.serving.threads.call(encoder, {"value": value})
            headers = self._headers() if head.traced or self.context.has_response_headers else ()
            if encoder.varies:
                media_type = encoder.media_type_of(value)
                named = route.info.output.extra_headers(value).items()
                headers += tuple((name.encode("ascii"), text.encode("ascii")) for name, text in named)
        except asyncio.CancelledError:
            # Ours when the answer is out already; else the server's own time limit, or the user's code
            # cancelled itself.
            return self._fail(UnavailableError("the request was cancelled inside the server"))
        except RAISED as error:
            pass_on_close(error, self.task)
            return self._fail(error)
        return self._finish(200, media_type, body, headers)

    async def _run_asked(self, asked: Asked) -> None:
        """The same when the request itself says how the answer is to be written."""
        set_context(self.context)
        head = self.head
        route = head.route
        write, arguments = asked.write, asked.arguments
        try:
            if asked.timeout_s is not None:
                self._hurry(asked.timeout_s)
            del asked
            if route.stream:
                bodies = _bodies(write)
                return await self._stream(route.call(**arguments), bodies, route.dialect.stream_type)
            if route.is_async:
                value = await route.call(**arguments)
            else:
                value = await self.serving.threads.call(route.call, arguments)
            del arguments
            if getattr(value, "nbytes", 0) < _HEAVY_BYTES:
                written = write(value)
            else:
                written = await self.serving.threads.call(write, {"value": value})
            headers = written.headers
            if head.traced or self.context.has_response_headers:
                headers += self._headers()
        except asyncio.CancelledError:  # as in _run
            return self._fail(UnavailableError("the request was cancelled inside the server"))
        except RAISED as error:
            pass_on_close(error, self.task)
            return self._fail(error)
        return self._finish(200, written.media_type, written.body, headers)

    def _hurry(self, timeout_s: float) -> None:
        """The body gives less time than the header."""
        if timeout_s < self.timeout_s:
            deadlines = self.serving.deadlines
            deadlines.discard(self)
            self.timeout_s = timeout_s
            self.deadline = self.context.deadline = self.began + timeout_s
            deadlines.add(self, asyncio.get_running_loop())


def _bodies(write: Callable[[Any], Written]) -> Callable[[Any], Any]:
    return lambda value: write(value).body
