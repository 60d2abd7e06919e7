"""Prediction routes, compiled once: all checks that the socket's door and the ASGI door share."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from ...errors import NotFoundRouteError, PayloadTooLargeError
from .dialect import NATIVE, Dialect

if TYPE_CHECKING:
    from ..metrics.metrics import Metrics, RequestMetrics
    from ..protocols.endpoint import Endpoint
    from ..schema.input_stream import InputStream
    from ..schema.kind import Buffer
    from ..service.api import ApiInfo
    from ..service.service import ServiceInfo
    from ..supervisor.control import ServerOptions

_REFUSED = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
UNMATCHED = "<unmatched>"
"""Route label of every path that does not exist, so that a scanner cannot grow the metrics."""


class Route:
    """Something that can be called, on one path: what does not change from request to request.

    Args:
        name: of the api, or of the endpoint.
        path: as it is asked for, and its label in the metrics.
        call: takes the arguments by name.
        metrics: of the process.
        dialect: how its requests, answers and errors are worded.
    """

    __slots__ = (
        "call", "decode_json", "dialect", "encoder", "heavy_bytes", "info", "input_stream", "is_async",
        "max_body_bytes", "metrics", "metrics_of", "name", "path", "stream", "timeout_s",
    )  # fmt: skip

    info: ApiInfo
    """The api, on its own route; only the server's own dialect looks at it."""
    is_async: bool
    stream: bool
    timeout_s: float
    max_body_bytes: int
    decode_json: Callable[[Buffer], Any]
    heavy_bytes: int
    """Bodies from this size on are decoded in a thread, so that nobody else waits for it."""
    encoder: Any
    input_stream: InputStream | None
    """Items of a request may come one by one, while the api runs."""

    def __init__(
        self, name: str, path: str, call: Callable[..., Any], metrics: Metrics, dialect: Dialect
    ) -> None:
        self.name = name
        self.path = path
        self.call = call
        self.dialect = dialect
        self.metrics = metrics.request(path)
        """Of POST, which is what nearly all requests are."""
        self.metrics_of: dict[bytes, RequestMetrics] = {
            method.encode("ascii"): metrics.request(path, method) for method in _REFUSED
        }

    @classmethod
    def of_api(
        cls, info: ApiInfo, call: Callable[..., Any], options: ServerOptions, metrics: Metrics
    ) -> Route:
        """The api's own route.

        Args:
            call: its method, bound to the service's instance.
            options: `timeout_s` and `max_body_bytes` override the api's own.
        """
        route = cls(info.name, info.route, call, metrics, NATIVE)
        route.info = info
        route.is_async = info.is_async
        route.stream = info.stream
        route.timeout_s = info.timeout_s if options.timeout_s is None else options.timeout_s
        route.max_body_bytes = (
            info.max_body_bytes if options.max_body_bytes is None else options.max_body_bytes
        )
        route.decode_json = info.inputs.decode_json
        route.heavy_bytes = info.inputs.heavy_bytes
        route.encoder = info.output.encoder("*/*")
        route.input_stream = info.inputs.stream
        return route

    @classmethod
    def for_endpoint(cls, endpoint: Endpoint, path: str, dialect: Dialect, metrics: Metrics) -> Route:
        """An endpoint on a path of another protocol, whose `dialect` gives it decoders and writers."""
        route = cls(endpoint.name, path, endpoint.call, metrics, dialect)
        route.is_async = endpoint.is_async
        route.stream = endpoint.stream
        route.timeout_s = endpoint.timeout_s
        route.max_body_bytes = endpoint.max_body_bytes
        route.decode_json = _nothing
        route.heavy_bytes = endpoint.heavy_bytes
        route.encoder = None
        route.input_stream = None
        return route

    def check_size(self, size_bytes: int) -> None:
        """Raises PayloadTooLargeError above the body limit."""
        if size_bytes > self.max_body_bytes:
            raise PayloadTooLargeError(
                f"the body has {size_bytes} bytes or more, the limit of {self.path} is {self.max_body_bytes}"
            )


class RouteTable:
    """The prediction routes of a service, by the exact bytes of their path."""

    def __init__(self, info: ServiceInfo, instance: object, options: ServerOptions, metrics: Metrics) -> None:
        self.routes = [
            Route.of_api(api, getattr(instance, api.name), options, metrics) for api in info.apis.values()
        ]
        """The apis' own."""
        self.by_path = {route.path.encode("ascii"): route for route in self.routes}
        self._paths = sorted(route.path for route in self.routes)

    def add(self, routes: Iterable[Route]) -> None:
        """Those of another protocol; where an api has the path already, it keeps it."""
        for route in routes:
            self.by_path.setdefault(route.path.encode("ascii"), route)

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


def _nothing(body: Buffer) -> dict[str, Any]:
    """Stands where a dialect puts its own decoder."""
    raise NotImplementedError(f"a body of {len(body)} bytes came to a route without a decoder")
