"""What the header of a request says, worked out once for all requests that begin with the same bytes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...errors import MalformedInputError, MethodNotAllowedError, RequestError
from ..schema.media import JSON
from .inflate import check_coding, inflate

if TYPE_CHECKING:
    from ..schema.kind import Buffer
    from .routes import Route

RawHeaders = list[tuple[bytes, bytes]]


class Head:
    """A request's header on a prediction route, checked.

    Args:
        raw_headers: names in lower case.
        query: of the URL, without `?`.
    """

    __slots__ = (
        "coding", "decode", "encoder", "fields", "known_as", "media_type", "method", "method_text", "metrics",
        "objection", "query", "raw_headers", "refusal", "route", "timeout_s", "traced",
    )  # fmt: skip

    join: Callable[[list[bytes]], Buffer] = staticmethod(b"".join)
    """The pieces of a body → the body that `decode` takes."""

    def __init__(self, route: Route, method: bytes, raw_headers: RawHeaders, query: str) -> None:
        self.route = route
        self.method = method
        self.method_text = method.decode("latin-1")
        self.raw_headers = raw_headers
        fields = dict(raw_headers)
        if len(fields) != len(raw_headers):
            fields = joined(raw_headers)
        self.fields = fields
        """The last word on every name: several fields of one name are joined with commas."""
        self.query = query
        self.metrics = route.metrics if method == b"POST" else route.metrics_of.get(method, route.metrics)
        self.known_as = b"x-request-id" in fields
        """The caller may have named the request."""
        self.traced = b"traceparent" in fields
        self.refusal: RequestError | None = None
        """What is wrong before a byte of the body is kept: 400, 405, 413 or 415."""
        self.objection: RequestError | None = None
        """What is wrong with how the answer is wanted, 400 or 406; told when the body has come."""
        self.timeout_s = route.timeout_s
        self.encoder: Any = route.encoder
        """`Encoder` of the answer; unused when the answer is written by what `decode` gives."""
        self.coding = ""
        self.media_type = JSON
        self.decode: Callable[[Buffer], Any] = route.decode_json
        """The whole body as it was sent → the arguments of the call, or `Asked`.

        Raises:
            RequestError: 400, 413, 415 or 422, with the path to the bad value.
        """
        if method == b"OPTIONS":
            return
        try:
            self._admit()
        except RequestError as error:
            self.refusal = error
            return
        try:
            self._patience()
            self._prepare()
        except RequestError as error:
            self.objection = error

    def _admit(self) -> None:
        fields, route = self.fields, self.route
        if self.method != b"POST":
            raise MethodNotAllowedError(f"{route.path} takes POST, not {self.method_text[:20]}")
        length = fields.get(b"content-length")
        if length is not None:
            route.check_size(int(length))
        if (content_coding := fields.get(b"content-encoding")) is not None:
            self.coding = content_coding.strip().lower().decode("latin-1")
            check_coding(self.coding)

    def _patience(self) -> None:
        text = self.fields.get(b"x-request-timeout") or self.fields.get(b"request-timeout")
        if text is not None:
            self.timeout_s = min(_seconds(text), self.timeout_s)

    def _prepare(self) -> None:
        """What the header says of body and answer; raises RequestError. Other dialects replace it."""
        fields, route = self.fields, self.route
        accept = fields.get(b"accept")
        if accept is not None and accept != b"*/*":
            self.encoder = route.info.output.encoder(accept.decode("latin-1"))
        media_type = fields.get(b"content-type")
        if media_type:
            self.media_type = media_type.decode("latin-1")
        if self.query or self.coding or self.media_type != JSON:
            self.decode = self._decode

    def _decode(self, body: Buffer) -> dict[str, Any]:
        if self.coding:
            body = inflate(self.coding, body, self.route.max_body_bytes)
        return self.route.info.inputs.decode(self.media_type, body, self.query)


def _seconds(text: bytes) -> float:
    try:
        wanted_s = float(text)
    except ValueError:
        wanted_s = math.nan
    if not wanted_s > 0:
        raise MalformedInputError(
            f"x-request-timeout is {text[:40].decode('latin-1')!r}: give seconds above 0, like 2.5"
        )
    return wanted_s


def joined(raw_headers: RawHeaders) -> dict[bytes, bytes]:
    """Fields that came several times mean their list (RFC 9110, 5.3); what is no list is refused then."""
    fields: dict[bytes, bytes] = {}
    for name, value in raw_headers:
        fields[name] = b"%b, %b" % (fields[name], value) if name in fields else value
    return fields


class KnownHeads:
    """Heads by the exact bytes they came in, for callers that send the same ones again and again.

    Only those that leave nothing open are kept: see `keep`.
    """

    LIMIT = 512
    LIMIT_BYTES = 1024
    """Of one head."""

    def __init__(self) -> None:
        self.by_bytes: dict[bytes, tuple[Head, int]] = {}
        """Head and `Content-Length`."""

    def keep(self, raw: bytes, head: Head) -> None:
        """Remembers a head that was parsed from `raw`, when the same bytes will mean the same again.

        Args:
            raw: from the request line to the empty line; the caller has seen that it is HTTP/1.1, keeps the
                connection and asks for no upgrade.
        """
        fields = head.fields
        if (
            head.method != b"POST"
            or head.refusal is not None
            or head.known_as  # differ from request to request: keeping them would only push others out
            or head.traced
            or b"content-length" not in fields
            or b"transfer-encoding" in fields
            or b"expect" in fields
            or len(raw) > self.LIMIT_BYTES
            # A line for each field, the request line and the empty one: whoever smuggles a bare line feed or
            # a folded line makes `raw` something else than what the parser read.
            or raw.count(b"\n") != len(head.raw_headers) + 2
        ):
            return
        if len(self.by_bytes) >= self.LIMIT:
            self.by_bytes.clear()
        self.by_bytes[raw] = head, int(fields[b"content-length"])
