"""`ModelInfer` on a connection: takes what the stream receives, is the prediction, and writes the answer.

One object and one task a call, where other RPCs have several: this is the one that is called ten thousand
times a second.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from ...errors import ServingError
from ..http.bodies import COUNTED_BYTES
from ..http.prediction import Prediction
from ..protocols.oip.unsupported import UnsupportedError
from . import reply_blocks, status, whole_reply
from .code import Code
from .message_reader import PREFIX, MessageReader
from .status import CallEndedError

if TYPE_CHECKING:
    from ..http.exchange import Headers
    from ..http.problem import Problem
    from ..http2.stream import Stream
    from .call_head import CallHead
    from .door import GrpcDoor
    from .infer_calls import InferCalls

_OWN_ID_CHARS = 24
_END = reply_blocks.end_with((("x-request-id", "0" * _OWN_ID_CHARS),))[:-_OWN_ID_CHARS]
"""Of a call that went well; an id that we have made ourselves comes behind it."""


class InferCall(Prediction):
    """
    Args:
        calls: what all of them share.
        head: what the fields of the call say.
    """

    report: Problem | None = None

    def __init__(self, calls: InferCalls, door: GrpcDoor, stream: Stream, head: CallHead) -> None:
        self.calls = calls
        self.serving = calls.serving
        self.client = stream.connection.peer
        self.door = door
        self.stream = stream
        self.call_head = head
        self.opened = monotonic()
        self.reader: MessageReader | None = None
        self.message: bytes | None = None

    # What the stream receives

    def data(self, piece: bytes | memoryview) -> None:
        if self.reader is None:
            size = len(piece) - PREFIX.size
            if self.message is None and 0 <= size <= COUNTED_BYTES:
                flag, length = PREFIX.unpack_from(piece)
                if flag == 0 and length == size:  # nearly always
                    self.message = bytes(piece[PREFIX.size :])
                    return
            self.reader = MessageReader(self.door.limit_bytes, self.call_head.coding)
        try:
            for message in self.reader.feed(piece):
                if self.message is not None:
                    self._end(CallEndedError(Code.INTERNAL, "more than one message, and this call takes one"))
                    return
                self.message = self.reader.unpacked(message)
            self.size = self.reader.held_bytes + (0 if self.message is None else len(self.message))
            if self.size > COUNTED_BYTES:
                self._count()
        except ServingError as error:
            self._end(self._refused(error))

    def end(self) -> None:
        message, self.message = self.message, None
        if message is None or (self.reader is not None and self.reader.inside):
            self._end(CallEndedError(Code.INTERNAL, "the call ended without its message"))
            return
        try:
            self.head = self.calls.head(self.call_head, message)
        except ServingError as error:
            self._end(self._refused(error))
            return
        self.size = len(message)
        if self.size > COUNTED_BYTES:
            try:
                self.head.route.check_size(self.size)
                self._count()
            except ServingError as error:
                self.error = error
        self.launch_with(message, monotonic(), self.door.loop)

    def lost(self) -> None:
        if self.began:
            self.cancel()
        else:
            self.release()

    # What becomes of it

    def answer(self, code: int, media_type: str, body: bytes | memoryview, headers: Headers) -> None:  # noqa: ARG002
        request_id = self.context.id
        if code != 200:
            if self.report is not None:
                self._end(status.ended(self.report, request_id))
            return
        coding = self.call_head.reply_coding
        if headers:
            block = reply_blocks.head_with(status.metadata(headers), coding)
        else:
            block = reply_blocks.HEADS[coding]
        if len(request_id) == _OWN_ID_CHARS:
            last = _END + request_id.encode("ascii")
        else:
            last = reply_blocks.end_with((("x-request-id", request_id),))
        whole_reply.send(self.stream, block, body, coding, last)

    async def open_stream(self, media_type: str, headers: Headers) -> None:  # noqa: ARG002
        raise UnsupportedError(f"{self.head.route.name} answers with a stream")  # refused before it is called

    async def send_chunk(self, data: bytes | memoryview) -> None:
        pass

    async def close_stream(self, *, broken: bool) -> None:
        pass

    def lose(self) -> None:
        self._end(CallEndedError(Code.INTERNAL, "the answer could not be sent; the reason is in the log"))

    def _problem(self, error: BaseException) -> Problem:
        self.report = report = super()._problem(error)
        return report

    def _refused(self, error: Exception) -> CallEndedError:
        report, request_id = self.serving.refuse(error, self.client, monotonic() - self.opened)
        return status.ended(report, request_id)

    def _end(self, error: CallEndedError) -> None:
        self.release()
        self.stream.refuse(reply_blocks.failure(error, begun=False))
