"""Prediction routes, compiled once: all checks that the socket's door and the ASGI door share."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from ...errors import (
    MalformedInputError,
    MethodNotAllowedError,
    NotFoundRouteError,
    PayloadTooLargeError,
)
from .inflate import check_coding, inflate

if TYPE_CHECKING:
    from ..metrics.metrics import Metrics, RequestMetrics
    from ..schema.outputs import Encoder
    from ..service.api import ApiInfo
    from ..service.service import ServiceInfo
    from ..supervisor.control import ServerOptions

JSON = "application/json"
_REFUSED = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
UNMATCHED = "<unmatched>"
"""Route label of every path that does not exist, so that a scanner cannot grow the metrics."""

Fields = Mapping[bytes, bytes]
"""Header fields of a request, names in lower case; several of one name are joined with commas."""


class Route:
    """One api: what does not change from request to request.

    Args:
        info: the api.
        call: its method, bound to the service's instance.
        options: `timeout_s` and `max_body_bytes` override the api's own.
        metrics: of the process.
    """

    __slots__ = (
        "call", "decode_json", "encoder", "info", "is_async", "max_body_bytes", "metrics",
        "metrics_of", "name", "path", "stream", "timeout_s",
    )  # fmt: skip

    def __init__(
        self, info: ApiInfo, call: Callable[..., Any], options: ServerOptions, metrics: Metrics
    ) -> None:
        self.info = info
        self.name = info.name
        self.path = info.route
        self.call = call
        self.metrics = metrics.request(info.route)
        """Of POST, which is what nearly all requests are."""
        self.metrics_of: dict[bytes, RequestMetrics] = {
            method.encode("ascii"): metrics.request(info.route, method) for method in _REFUSED
        }
        self.is_async = info.is_async
        self.stream = info.stream
        self.timeout_s = info.timeout_s if options.timeout_s is None else options.timeout_s
        self.max_body_bytes = (
            info.max_body_bytes if options.max_body_bytes is None else options.max_body_bytes
        )
        self.decode_json = info.inputs.decode_json
        self.encoder = info.output.encoder("*/*")

    def admit(self, method: bytes, fields: Fields) -> None:
        """What can be refused from the header alone, before a byte of the body is kept.

        Raises:
            MethodNotAllowedError: 405.
            MalformedInputError: 400, a transfer coding other than chunked.
            PayloadTooLargeError: 413, by `Content-Length`.
            UnsupportedMediaTypeError: 415, a content coding that cannot be undone.
        """
        if method != b"POST":
            raise MethodNotAllowedError(f"{self.path} takes POST, not {method.decode('latin-1')[:20]}")
        length = fields.get(b"content-length")
        if length is not None:
            self.check_size(int(length))
        else:
            coding = fields.get(b"transfer-encoding")
            if coding is not None and coding.strip().lower() != b"chunked":
                raise MalformedInputError(
                    f"transfer-encoding {coding[:80].decode('latin-1')!r}: only chunked is supported"
                )
        if (content_coding := fields.get(b"content-encoding")) is not None:
            check_coding(content_coding.strip().lower().decode("latin-1"))

    def check_size(self, size_bytes: int) -> None:
        """Raises PayloadTooLargeError above the body limit."""
        if size_bytes > self.max_body_bytes:
            raise PayloadTooLargeError(
                f"the body has {size_bytes} bytes or more, the limit of {self.path} is {self.max_body_bytes}"
            )

    def decode(self, fields: Fields, query: str, body: bytes) -> dict[str, Any]:
        """The arguments of the call.

        Args:
            query: of the URL, without `?`.
            body: whole, as it was sent.

        Raises:
            RequestError: 400, 413, 415 or 422, with the path to the bad value.
        """
        coding = fields.get(b"content-encoding")
        if coding is not None:
            body = inflate(coding.strip().lower().decode("latin-1"), body, self.max_body_bytes)
        media_type = fields.get(b"content-type")
        if not query and (media_type is None or media_type == b"application/json"):
            return self.decode_json(body)
        return self.info.inputs.decode(media_type.decode("latin-1") if media_type else JSON, body, query)

    def encoder_for(self, fields: Fields) -> Encoder:
        """Raises NotAcceptableError: 406."""
        accept = fields.get(b"accept")
        if accept is None or accept == b"*/*":
            return self.encoder
        return self.info.output.encoder(accept.decode("latin-1"))

    def time_limit_s(self, fields: Fields) -> float:
        """Seconds: the route's time-out, or less when `x-request-timeout` (or `request-timeout`) says so.

        Raises:
            MalformedInputError: the header is no number of seconds above 0.
        """
        text = fields.get(b"x-request-timeout") or fields.get(b"request-timeout")
        if text is None:
            return self.timeout_s
        try:
            wanted_s = float(text)
        except ValueError:
            wanted_s = math.nan
        if not wanted_s > 0:
            raise MalformedInputError(
                f"x-request-timeout is {text[:40].decode('latin-1')!r}: give seconds above 0, like 2.5"
            )
        return min(wanted_s, self.timeout_s)


class RouteTable:
    """The prediction routes of a service, by the exact bytes of their path."""

    def __init__(self, info: ServiceInfo, instance: object, options: ServerOptions, metrics: Metrics) -> None:
        self.routes = [
            Route(api, getattr(instance, api.name), options, metrics) for api in info.apis.values()
        ]
        self.by_path = {route.path.encode("ascii"): route for route in self.routes}
        self._paths = sorted(route.path for route in self.routes)

    def find(self, path: bytes) -> Route | None:
        """By a path that may be percent-encoded; the doors look into `by_path` first."""
        route = self.by_path.get(path)
        if route is None and b"%" in path:
            route = self.by_path.get(unquote_to_bytes(path))
        return route

    def not_found(self, path: str, others: tuple[str, ...] = ()) -> NotFoundRouteError:
        """The 404 for a path, naming the nearest of the routes and `others`."""
        known = [*self._paths, *others]
        near = difflib.get_close_matches(path[:200], known, n=2, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else f"routes: {', '.join(known[:20])}"
        return NotFoundRouteError(f"no route {path[:200]!r}; {hint}")
