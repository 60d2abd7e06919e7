"""Prediction routes, compiled once: all checks that the socket's door and the ASGI door share."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from ...errors import NotFoundRouteError, PayloadTooLargeError

if TYPE_CHECKING:
    from ..metrics.metrics import Metrics, RequestMetrics
    from ..service.api import ApiInfo
    from ..service.service import ServiceInfo
    from ..supervisor.control import ServerOptions

_REFUSED = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
UNMATCHED = "<unmatched>"
"""Route label of every path that does not exist, so that a scanner cannot grow the metrics."""


class Route:
    """One api: what does not change from request to request.

    Args:
        info: the api.
        call: its method, bound to the service's instance.
        options: `timeout_s` and `max_body_bytes` override the api's own.
        metrics: of the process.
    """

    __slots__ = (
        "call", "decode_json", "encoder", "heavy_bytes", "info", "is_async", "max_body_bytes", "metrics",
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
        self.heavy_bytes = info.inputs.heavy_bytes
        """Bodies from this size on are decoded in a thread, so that nobody else waits for it."""
        self.encoder = info.output.encoder("*/*")

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
