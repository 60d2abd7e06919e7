"""One call while it runs: its messages in, its messages out, its end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from time import monotonic
from typing import TYPE_CHECKING, Any

from ...errors import RequestError, ServingError
from ..http.bodies import COUNTED_BYTES
from ..http2.error import CANCEL
from . import reply_blocks, status, whole_reply
from .code import Code
from .context import BothStreams
from .message_reader import MessageReader, Packed, packed
from .status import CallEndedError

if TYPE_CHECKING:
    from ..http2.stream import Stream
    from .call_head import CallHead
    from .door import GrpcDoor
    from .status import Metadata

_HELD_MESSAGES = 16
"""Requests of a stream that wait for their method; with more the caller is not allowed to send on."""


class CallContext:
    """Made when the head of a call has come. Takes what the stream receives, runs the method, sends what it
    says."""

    __slots__ = (
        "_coding", "_counted", "_deadline", "_door", "_ended", "_first", "_messages", "_reader", "_started",
        "_task", "_timer", "_trailing", "_wake", "head", "stream",
    )  # fmt: skip

    def __init__(self, door: GrpcDoor, stream: Stream, head: CallHead) -> None:
        self._door = door
        self.stream = stream
        self.head = head
        self._reader = MessageReader(door.limit_bytes, head.coding)
        self._messages: deque[Packed] = deque()
        self._ended = False
        """The caller has sent everything."""
        self._started = False
        """The head of the answer is sent."""
        self._first = b""
        """Block of that head, when it is not the usual one."""
        self._coding = b""
        self._counted = 0
        """Bytes that `Bodies` knows of."""
        self._trailing: Metadata = ()
        self._task: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = None if head.timeout_s is None else monotonic() + head.timeout_s

    # What the stream receives

    def data(self, piece: bytes | memoryview) -> None:
        try:
            self._messages.extend(self._reader.feed(piece))
            self._count()
        except ServingError as error:
            self._stop()
            self._refuse(error)
            return
        if isinstance(self.head.rpc, BothStreams):
            if len(self._messages) > _HELD_MESSAGES:
                self.stream.held = True
            self._wake_up()
        elif len(self._messages) > 1:
            self._stop()
            self.end_with(CallEndedError(Code.INTERNAL, "more than one message, and this call takes one"))

    def end(self) -> None:
        self._ended = True
        self._release()
        if self._reader.inside:
            self._stop()
            self.end_with(CallEndedError(Code.INTERNAL, "the call ended inside of a message"))
        elif isinstance(self.head.rpc, BothStreams):
            self._wake_up()
        elif not self._messages:
            self.end_with(CallEndedError(Code.INTERNAL, "the call ended without its message"))
        else:
            try:
                message = self._reader.unpacked(self._messages.popleft())
            except RequestError as error:
                self._refuse(error)
                return
            self._run(message)

    def lost(self) -> None:
        self._release()
        self._stop()

    def _count(self) -> None:
        """What has come of a message, and waits for the rest. Raises OverloadedError."""
        size = self._reader.held_bytes
        if not isinstance(self.head.rpc, BothStreams):
            size += sum(len(message) for _, message in self._messages)
        if size > max(COUNTED_BYTES, self._counted):
            self._door.bodies.take(self._counted, size - self._counted)
            self._counted = size
        elif size < self._counted:
            self._release()

    def _release(self) -> None:
        """What runs is counted by its prediction."""
        if self._counted:
            self._door.bodies.give_back(self._counted)
            self._counted = 0

    def open(self) -> None:
        """A call whose requests stream runs before they have come."""
        self.stream.streaming = True
        self._run(self._requests())

    # What the service asks and says: `Context`

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        return self.head.metadata

    @property
    def client(self) -> str:
        return self.stream.connection.peer

    def left_s(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - monotonic())

    def compress(self) -> None:
        self._coding = self.head.reply_coding

    async def begin(self, metadata: Metadata) -> None:
        self._first = reply_blocks.head_with(metadata, self._coding)

    async def write(self, message: bytes) -> None:
        self._start()
        self.stream.send(packed(message, self._coding))
        await self.stream.drain()

    def trail(self, metadata: Metadata) -> None:
        self._trailing = metadata

    # How it runs

    def _run(self, request: bytes | AsyncIterator[bytes]) -> None:
        loop = self._door.loop
        if self._deadline is not None:
            left_s = self._deadline - monotonic()
            if left_s <= 0:
                self.end_with(
                    CallEndedError(Code.DEADLINE_EXCEEDED, "the deadline was over when the call came")
                )
                return
            if isinstance(self.head.rpc, BothStreams):
                self._timer = loop.call_later(left_s, self._expire)
        self._task = loop.create_task(self._call(request))

    async def _call(self, request: bytes | AsyncIterator[bytes]) -> None:
        rpc: Any = self.head.rpc
        try:
            reply = await rpc.serve(request, self)
        except CallEndedError as error:
            self.end_with(error)
        except RequestError as error:  # a message that cannot be unpacked
            self._refuse(error)
        except asyncio.CancelledError:
            self.end_with(CallEndedError(Code.CANCELLED, "the call was cancelled"))
            raise
        except Exception:  # noqa: BLE001 - of a service: the caller is told that it failed
            self._door.log_failure(self.head.path)
            self.end_with(CallEndedError(Code.INTERNAL, "the server failed; its log says why"))
        else:
            self._succeed(reply)
        finally:
            self._release()
            if self._timer is not None:
                self._timer.cancel()

    def _succeed(self, reply: bytes | None) -> None:
        last = reply_blocks.end_with(self._trailing)
        if reply is None or self._started:
            self._start()
            self.stream.finish(last)
        else:
            whole_reply.send(self.stream, self._block(), reply, self._coding, last)

    def end_with(self, error: CallEndedError) -> None:
        """The status of a call that failed; replies that were sent before stay."""
        self._release()
        block = reply_blocks.failure(error, begun=self._started)
        if self._started:
            self.stream.finish(block)
        else:
            self.stream.refuse(block)

    def _refuse(self, error: ServingError) -> None:
        self.end_with(CallEndedError(status.code_of(error.status), str(error)))

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self.stream.start(self._block())

    def _block(self) -> bytes:
        return self._first or reply_blocks.HEADS[self._coding]

    def _expire(self) -> None:
        self._stop()
        self.end_with(CallEndedError(Code.DEADLINE_EXCEEDED, "the deadline is over"))
        self.stream.reset(CANCEL)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
        self._wake_up()

    async def _requests(self) -> AsyncIterator[bytes]:
        while True:
            if self._messages:
                message = self._messages.popleft()
                if self.stream.held and len(self._messages) <= _HELD_MESSAGES // 2:
                    self.stream.take()
                yield self._reader.unpacked(message)
            elif self._ended or self.stream.closed:
                return
            else:
                self._wake = self._door.loop.create_future()
                await self._wake

    def _wake_up(self) -> None:
        waiter, self._wake = self._wake, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
