"""The other side of an HTTP/2 connection: `h2` as the client, and a transport that is no socket."""

from __future__ import annotations

import asyncio
from typing import Any

import h2.config
import h2.connection
import h2.events
from hyperframe.frame import Frame

from tiffin.runtime.http2 import header_block
from tiffin.runtime.http2.connection import Connection
from tiffin.runtime.http2.stream import Stream

REQUEST = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/echo"),
    (":authority", "here"),
    ("te", "trailers"),
]
HEAD = header_block.write(((b":status", b"200"), (b"x-kind", b"echo")))
LAST = header_block.write(((b"x-end", b"yes"),))


class FakeTransport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False
        self.buffered = 0
        """What the peer has not taken, so says the socket."""
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written += data

    def writelines(self, pieces: list[Any]) -> None:
        for piece in pieces:
            self.written += piece

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else None

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def take(self) -> bytes:
        data = bytes(self.written)
        self.written.clear()
        return data


class Echo:
    """Answers with the body that came. `hold` keeps answers back until `answer` is called."""

    def __init__(self) -> None:
        self.heads: list[list[tuple[bytes, bytes]]] = []
        self.opened: list[EchoStream] = []
        self.hold = False

    def head(self, fields: list[tuple[bytes, bytes]]) -> Any:
        self.heads.append(fields)
        return fields

    def open(self, stream: Stream, meaning: Any) -> EchoStream:
        self.opened.append(EchoStream(self, stream, meaning))
        return self.opened[-1]


class EchoStream:
    def __init__(self, echo: Echo, stream: Stream, fields: Any) -> None:
        self.echo, self.stream, self.fields = echo, stream, fields
        self.body = b""
        self.complete = self.was_lost = False

    def data(self, piece: bytes | memoryview) -> None:
        assert len(piece)
        self.body += piece

    def end(self) -> None:
        self.complete = True
        if not self.echo.hold:
            self.answer()

    def answer(self) -> None:
        self.stream.reply(HEAD, self.body, LAST)

    def lost(self) -> None:
        self.was_lost = True


class Peer:
    """A connection and a client that talk until neither has anything to say.

    Args:
        size: bytes that arrive at a time, in both directions; 0: all of them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, size: int = 0, *, greet: bool = True) -> None:
        self.echo = Echo()
        self.transport = FakeTransport()
        self.gone = False
        self.connection = Connection(self.echo, loop, lambda _: setattr(self, "gone", True))
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]
        self.client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.events: list[h2.events.Event] = []
        self.frames: list[Frame] = []
        self._loop = loop
        self._size = size
        self._rest = b""
        if greet:
            self.client.initiate_connection()

    def ask(self, body: bytes = b"", fields: list[tuple[str, str]] | None = None) -> int:
        """Begins a request and sends what the windows allow."""
        stream = int(self.client.get_next_available_stream_id())
        self.client.send_headers(stream, fields or REQUEST, end_stream=not body)
        while body:
            room = min(
                self.client.local_flow_control_window(stream), self.client.max_outbound_frame_size, len(body)
            )
            if not room:
                self.talk()
                continue
            self.client.send_data(stream, body[:room], end_stream=room == len(body))
            body = body[room:]
        return stream

    def say(self, data: bytes) -> None:
        """Bytes that the client did not make."""
        for at in range(0, len(data), self._size or len(data) or 1):
            self.connection.data_received(data[at : at + (self._size or len(data))])
        self._turn()

    def talk(self) -> None:
        """Until both are silent."""
        while True:
            sent, heard = self.client.data_to_send(), self.hear()
            if sent:
                self.say(sent)
            for event in self.client.receive_data(heard) if heard else ():
                self.events.append(event)
                if isinstance(event, h2.events.DataReceived):
                    self.client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            if not sent and not heard:
                return

    def hear(self) -> bytes:
        """What the server has sent, which is also kept as `frames`."""
        self._turn()
        data = self.transport.take()
        rest = self._rest + data
        while len(rest) >= 9:
            frame, size = Frame.parse_frame_header(memoryview(rest[:9]))
            if len(rest) < 9 + size:
                break
            frame.parse_body(memoryview(rest[9 : 9 + size]))
            self.frames.append(frame)
            rest = rest[9 + size :]
        self._rest = rest
        return data

    def body(self, stream: int) -> bytes:
        """Of an answer."""
        return b"".join(
            event.data
            for event in self.events
            if isinstance(event, h2.events.DataReceived) and event.stream_id == stream
        )

    def ended(self, stream: int) -> bool:
        return any(isinstance(e, h2.events.StreamEnded) and e.stream_id == stream for e in self.events)

    def reset_code(self, stream: int) -> int | None:
        codes = [
            int(e.error_code)
            for e in self.events
            if isinstance(e, h2.events.StreamReset) and e.stream_id == stream
        ]
        return codes[0] if codes else None

    def goaway_code(self) -> int | None:
        """Of the connection's end, from the frames."""
        self.hear()
        codes = [frame.error_code for frame in self.frames if type(frame).__name__ == "GoAwayFrame"]
        return codes[-1] if codes else None

    def _turn(self) -> None:
        """What was left for the loop's next turn."""
        self._loop.call_soon(self._loop.stop)
        self._loop.run_forever()
