"""What an api may know of the request it serves.

One `RequestContext` a request, made on the hot path: the constructor only keeps references, everything
else is worked out on first use. It lives in a ContextVar, so concurrent requests never see each other's.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextvars import ContextVar
from math import inf
from typing import final

from ...errors import UsageError
from .trace import Trace, new_trace, parse, request_ids

RawHeaders = Sequence[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~:/+=@-]{1,128}")
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_BAD_VALUE = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_SERVERS_OWN = frozenset(
    {
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "date",
        "keep-alive",
        "te",
        "trailer",
    }
    | {"transfer-encoding", "upgrade", "x-request-id"}
)


@final
class RequestContext:
    """The request that an api is serving.

    Args:
        raw_headers: `(name, value)` pairs as they came; names in any case.
        deadline: `time.monotonic()` seconds after which nobody waits any more; `inf` for none.
        route: path of the api, `/classify`.
        request_id: its `id`; empty: the caller's, or a new one.

    Raises:
        UsageError: `request_id` is nothing that a caller may send as `x-request-id`.

    In a unit test `with tiffin.RequestContext(raw_headers=[(b"x-user", b"ann")]): service.classify(x)`.
    """

    # Defaults live in the class: one is made a request, and most of it is never asked for.
    given_id = ""
    """What `id` says, unless empty. It goes into headers and logs, and is not checked here."""
    _headers: dict[str, str] | None = None
    _trace: Trace | None = None
    _response: ResponseHeaders | None = None

    def __init__(
        self, raw_headers: RawHeaders = (), deadline: float = inf, route: str = "", request_id: str = ""
    ) -> None:
        self._raw = raw_headers
        self.deadline = deadline
        """`time.monotonic()` seconds; `inf` for none."""
        self.route = route
        """Path of the api, `/classify`."""
        if request_id:
            self.given_id = _checked(request_id)

    @property
    def headers(self) -> Mapping[str, str]:
        """Lower-case name to value; repeated headers are joined with `, `."""
        if self._headers is None:
            self._headers = _decode(self._raw)
        return self._headers

    @property
    def id(self) -> str:
        """The caller's `x-request-id` when it has 1 to 128 harmless characters, else a new one."""
        if not self.given_id:
            sent = self._first(b"x-request-id")
            self.given_id = sent.decode() if _REQUEST_ID.fullmatch(sent) else request_ids.next()
        return self.given_id

    @property
    def remaining_s(self) -> float:
        """Seconds until the deadline, never below 0; `inf` when there is none."""
        return max(0.0, self.deadline - time.monotonic())

    @property
    def trace(self) -> Trace:
        """Place in the caller's trace (`traceparent`), or in a new one."""
        if self._trace is None:
            sent = self._first(b"traceparent")
            state = self._first(b"tracestate") if sent else b""
            self._trace = (
                parse(sent.decode("latin-1"), state.decode("latin-1")) if sent else None
            ) or new_trace()
        return self._trace

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return self.trace.trace_id

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits."""
        return self.trace.span_id

    @property
    def traceparent(self) -> str:
        """The header to send with calls that this request makes."""
        return self.trace.traceparent

    @property
    def tracestate(self) -> str:
        return self.trace.state

    @property
    def response_headers(self) -> MutableMapping[str, str]:
        """Headers to add to the answer; an api may set them until it returns or yields first.

        Raises:
            UsageError: on setting a name or value that HTTP does not allow, or a header that the server owns.
        """
        if self._response is None:
            self._response = ResponseHeaders()
        return self._response

    @property
    def has_response_headers(self) -> bool:
        """Whether the api set any; cheaper than making the mapping to see that it is empty."""
        return bool(self._response)

    def _first(self, name: bytes) -> bytes:
        for key, value in self._raw:
            if len(key) == len(name) and key.lower() == name:
                return value
        return b""

    def __enter__(self) -> RequestContext:
        self._token = set_context(self)
        return self

    def __exit__(self, *_: object) -> None:
        reset(self._token)

    def __repr__(self) -> str:
        return f"RequestContext(id={self.id!r}, route={self.route!r}, remaining_s={self.remaining_s:.3f})"


class ResponseHeaders(MutableMapping[str, str]):
    """Headers of an answer: lower-case names, values that cannot end the header early."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def __setitem__(self, name: str, value: str) -> None:
        name = name.lower()
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no header name; use letters, digits and -")
        if name in _SERVERS_OWN:
            raise UsageError(
                f"the header {name!r} belongs to the server; use a name of your own, such as 'x-…'"
            )
        if not isinstance(value, str) or _BAD_VALUE.search(value):
            raise UsageError(f"{value!r} is no value for header {name!r}; use text without line breaks")
        self._values[name] = value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __delitem__(self, name: str) -> None:
        del self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"ResponseHeaders({self._values!r})"


_current: ContextVar[RequestContext | None] = ContextVar("tiffin_request", default=None)


def request_context() -> RequestContext:
    """The request that this api call serves.

    Raises:
        UsageError: outside a request.
    """
    context = _current.get()
    if context is None:
        raise UsageError(
            "request_context() was called outside a request; call it inside an api, "
            "and in a unit test wrap the call in `with tiffin.RequestContext(): …`"
        )
    return context


current_context = _current.get
"""The same without the complaint: None outside a request."""
set_context = _current.set
reset = _current.reset


def _checked(request_id: str) -> str:
    if not isinstance(request_id, str) or not _REQUEST_ID.fullmatch(request_id.encode("utf-8", "replace")):
        raise UsageError(
            f"{str(request_id)[:128]!r} is no request id: use 1 to 128 of A-Z a-z 0-9 and ._~:/+=@-"
        )
    return request_id


def _decode(raw: RawHeaders) -> dict[str, str]:
    headers: dict[str, str] = {}
    for key, value in raw:
        name, text = key.decode("latin-1").lower(), value.decode("latin-1")
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers
