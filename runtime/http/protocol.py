"""uvicorn's HTTP/1.1 protocol with a short way for predictions.

A request whose path is a prediction route is answered here, with no ASGI scope, queue or task of the server's
own; every other request goes unchanged to uvicorn's class and so to the ASGI application. Both kinds share
uvicorn's pipeline, so answers leave in the order of the requests, whatever their mixture.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ...errors import MalformedInputError, RequestError
from .connection import Connection, Outlet
from .cors import CorsPrediction
from .entrance import let_in
from .head import joined
from .head_faults import fault_of, websocket_fault_of
from .limits import (
    HEAD_LIMIT_BYTES,
    HEAD_LIMIT_FIELDS,
    Dropped,
    HeadTooLargeError,
    has_body,
    overhead_limit,
)
from .lines import sends_lines
from .odd_method import LINE_BYTES, OddMethod
from .patience import Patience
from .reply import without_upgrade
from .serving import Serving
from .socket_prediction import CONTINUE, Refusal, SocketPrediction

if TYPE_CHECKING:
    from .routes import Route
    from .state import ServerState


def make_protocol(state: ServerState) -> type[HttpToolsProtocol]:
    """The class to give to `uvicorn.Config(http=…)`."""
    serving = Serving.of(state)
    prediction = SocketPrediction if serving.cors is None else CorsPrediction
    return type("PredictionProtocol", (PredictionProtocol,), {"serving": serving, "prediction": prediction})


class PredictionProtocol(Connection):
    """What comes in on one connection."""

    prediction: ClassVar[type[SocketPrediction]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._by_path = self.serving.by_url
        self._known_heads = self.serving.known_heads.by_bytes
        self._unknown_head = b""
        """Bytes that seem to be the whole head of the request that the parser is about to read."""
        self._skipping = False
        """The rest of the request that is coming in is dropped."""
        self._fresh = True
        self._raw_bytes = 0
        self._begun = b""
        """What came of a request line before its path, if it comes in pieces."""
        self.odd_method: OddMethod | None = None
        self._upgrade: list[tuple[bytes, bytes]] | None = None
        self._patience = Patience(self)

    def sweep(self, now: float) -> None:
        self._patience.sweep(now)

    # Bytes in

    def data_received(self, data: bytes) -> None:
        if self.deaf:
            if self.odd_method is not None:
                self.odd_method.more(data)
            return
        self.now = now = monotonic()
        if self.timeout_keep_alive_task is not None:
            self._unset_keepalive_if_required()
        if not self.receiving:
            end = data.find(_END_OF_HEAD) + 4
            if end > 3:
                raw = data[:end]
                known = self._known_heads.get(raw)
                if known is None:
                    self._unknown_head = raw
                elif len(data) - end == known[1] and self._is_idle():
                    # The short way of the short way: one whole request whose head was parsed before, byte for
                    # byte. The parser stands between two messages and need not know of one in between.
                    self.began = now
                    prediction = self.prediction(self, known[0])
                    prediction.complete = prediction.turn = True
                    self.cycle = self.running = prediction  # type: ignore[assignment]  # see on_headers_complete
                    prediction.launch_with(data[end:], now, self.loop)
                    return
            if data.startswith(_HTTP2) and self._may_speak_http2():
                self.speak_http2(data)
                return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            self._malformed(error, data)
        if self.receiving:
            self._check_overhead(data)

    def _is_idle(self) -> bool:
        """Whether the next request may be answered at once."""
        previous = self.cycle
        return not (
            (previous is not None and not (previous.response_complete and previous.keep_alive))
            or self.pipeline
            or self._skipping
            or self.transport.is_closing()
        )

    def _may_speak_http2(self) -> bool:
        first: Any = self.cycle
        return first is None

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.began = self.now
        self.receiving = self.in_head = self._fresh = True
        self._raw_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.in_head = False
        headers = self.headers
        raw, self._unknown_head = self._unknown_head, b""  # of the first message in the newest bytes only
        previous = self.cycle
        if self.parser.should_upgrade():
            alone = previous is None or previous.response_complete
            if alone and self._should_upgrade() and self._opens_websocket(headers):
                self._pass_on(headers, joined(headers))
            else:
                self._upgrade = headers
                self._skipping = True
            return
        if self.transport.is_closing() or (previous is not None and not previous.keep_alive):
            self._skipping = True  # the answer before this one closes the connection
            return
        if len(headers) > HEAD_LIMIT_FIELDS:
            self._refuse(HeadTooLargeError(f"more than {HEAD_LIMIT_FIELDS} header fields"))
            return
        route = self._by_path.get(self.url)
        query = ""
        if route is None:
            route, query = self._find(self.url)
        if route is None or (route.input_stream is not None and sends_lines(headers)):
            fields = joined(headers)
            if (fault := fault_of(self.parser.get_http_version(), fields)) is not None:
                self._refuse(fault)
            else:
                self._pass_on(headers, fields)
            return
        self.headers = _DROPPED
        head = route.dialect.head(route, self.parser.get_method(), headers, query)
        if self.serving.guard is not None:
            let_in(head, self.serving.guard)
        self.incoming = incoming = self.prediction(self, head)
        self.cycle = incoming  # type: ignore[assignment]  # it has the interface that the base class uses
        incoming.look_at_connection()
        if raw and incoming.keep_alive and not incoming.http10 and not self.parser.should_upgrade():
            self.serving.known_heads.keep(raw, head)
        self._admit(incoming, previous)

    def on_body(self, body: bytes) -> None:
        incoming = self.incoming
        if incoming is not None:
            refused = incoming.error is not None
            incoming.feed(body)
            if not refused and incoming.error is not None:
                self._refuse_incoming(incoming)
        elif not self._skipping:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self.receiving = False
        incoming = self.incoming
        if incoming is not None:
            self.incoming = None
            incoming.complete = True
            if incoming.turn:
                incoming.launch(self.now, self.loop)
        elif self._skipping:
            self._skipping = False
        else:
            super().on_message_complete()

    # Choosing a way

    def _find(self, url: bytes) -> tuple[Route | None, str]:
        try:
            parsed = httptools.parse_url(url)
        except httptools.HttpParserInvalidURLError:
            return None, ""  # uvicorn's class will find the same and answer 400
        return self.serving.find(parsed.path or b""), (parsed.query or b"").decode("latin-1")

    def _opens_websocket(self, headers: list[tuple[bytes, bytes]]) -> bool:
        """Whether that wish may be followed; HTTP/1.0 has none (RFC 9110, 7.8)."""
        version, fields = self.parser.get_http_version(), joined(headers)
        if version != "1.1" or has_body(headers):
            return False
        return fault_of(version, fields) is None and websocket_fault_of(fields) is None

    def _pass_on(self, headers: list[tuple[bytes, bytes]], fields: dict[bytes, bytes]) -> None:
        """To uvicorn's class, as if its own callbacks had been called."""
        url = self.url
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)  # the scope holds this list
        self.expect_100_continue = (
            fields.get(b"expect", b"").lower() == b"100-continue" and self.parser.get_http_version() != "1.0"
        )
        super().on_headers_complete()
        if self.last and self.cycle is not None:
            self.cycle.keep_alive = False
        if not self.parser.should_upgrade():
            self.headers = _DROPPED
            self.cycle.transport = Outlet(self)  # type: ignore[assignment]  # what it uses of one

    def _admit(self, incoming: SocketPrediction, previous: Any) -> None:
        if self.last:
            incoming.keep_alive = False
        incoming.admit()
        if previous is None or previous.response_complete:
            incoming.turn = True
            self.running = incoming
            if incoming.expects_continue and incoming.error is None:
                self.transport.write(CONTINUE)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((incoming, self.app))  # type: ignore[arg-type]
        error = incoming.error
        if error is not None and (error.status == 413 or incoming.expects_continue or incoming.lingers):
            self._refuse_incoming(incoming)

    # What cannot be served

    def _refuse_incoming(self, incoming: SocketPrediction) -> None:
        """Answers before the body has come, and then closes: the rest of the body is not worth reading."""
        self.incoming = None
        self._skipping = True
        incoming.keep_alive = False
        incoming.lingers = True
        incoming.complete = True
        if incoming.turn:
            incoming.launch(self.now, self.loop)

    def _refuse(self, error: Exception) -> None:
        """Answers what is no request, in its turn, and closes."""
        self._skipping = True
        self.receiving = False
        previous = self.cycle
        if previous is not None and not previous.keep_alive:
            return
        refusal: Any = Refusal(self, error)
        self.cycle = refusal
        if previous is None or previous.response_complete:
            refusal.answer()
        else:
            self.pipeline.appendleft((refusal, self.app))

    def _malformed(self, error: Exception, data: bytes) -> None:
        if isinstance(error, httptools.HttpParserInvalidMethodError):
            self.deaf, self.idle_since = True, self.now
            self.odd_method = OddMethod(error, self.stop_parsing)
            self.odd_method.more(data if self._fresh else self._begun + data)
        else:
            why = "" if isinstance(error, httptools.HttpParserCallbackError) else f": {error}"
            self.stop_parsing(MalformedInputError(f"the request is not valid HTTP/1.1{why}"))

    def stop_parsing(self, error: RequestError) -> None:
        """Nothing that comes after can be understood."""
        self.deaf = True
        if self.transport.is_closing():
            return
        if self.incoming is not None:
            self.incoming.error = error
            self._refuse_incoming(self.incoming)
        elif self.receiving and not self.in_head and not self._skipping and self.cycle is not None:
            self.transport.close()  # in the middle of a body that the ASGI application is reading
        else:
            self._refuse(error)

    def _upgraded(self, rest: bytes) -> None:
        """The parser stops at `Upgrade:` and takes the body for the other protocol's. A server may ignore the
        wish (RFC 9110, 7.8): unless a WebSocket is meant and served, the request is read again without it."""
        headers, self._upgrade = self._upgrade, None
        if headers is None:
            self.serving.sweeper.discard(self)
            self.handle_websocket_upgrade()
            return
        method, version = self.parser.get_method(), self.parser.get_http_version()
        if method == b"CONNECT":
            self.stop_parsing(MalformedInputError("CONNECT is not served"))
            return
        if (fault := websocket_fault_of(joined(headers))) is not None:
            self.stop_parsing(fault)
            return
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as in uvicorn's class
        self.data_received(without_upgrade(method, self.url, version, headers) + rest)

    def _check_overhead(self, data: bytes) -> None:
        """Bounds what the parser keeps: a header or trailer without end, chunks of one byte."""
        if self.in_head and not self.url:
            self._begun = (data if self._fresh else self._begun + data)[:LINE_BYTES]
        if self._fresh:
            self._fresh = False  # these bytes may belong to the request before
            return
        self._raw_bytes += len(data)
        if self.in_head:
            if self._raw_bytes > HEAD_LIMIT_BYTES:
                self.stop_parsing(HeadTooLargeError(f"the header is larger than {HEAD_LIMIT_BYTES} bytes"))
        elif self.incoming is not None and self._raw_bytes > overhead_limit(self.incoming.size):
            self.stop_parsing(MalformedInputError("far more framing than body: send larger chunks"))


_DROPPED = Dropped()
_END_OF_HEAD = b"\r\n\r\n"
_HTTP2 = b"PRI "
"""How every HTTP/2 connection begins; no HTTP/1.1 request does."""
